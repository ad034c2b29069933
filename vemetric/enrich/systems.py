"""Which operating system a user agent names, in the original's naming. Asked by enrich/user_agent.py.

A table like the one of enrich/browsers.py: the first rule found decides.
"""

from functools import cache

from ua_parser_rs import OSExtractor

from vemetric.enrich.browsers import Found, Rule

WINDOWS = "Windows"
WINDOWS_VERSIONS = {
    "4.90": "ME",
    "5.0": "2000",
    "5.01": "2000",
    "5.1": "XP",
    "5.2": "XP",
    "6.0": "Vista",
    "6.1": "7",
    "6.2": "8",
    "6.3": "8.1",
    "6.4": "10",
    "10.0": "10",
}
WEBOS = "webOS"
# A television's system is dated by the Chrome inside it.
WEBOS_VERSIONS = {
    "chrome 38": "3",
    "chrome 53": "4",
    "chrome 68": "5",
    "chrome 79": "6",
    "chrome 87": "22",
    "chrome 94": "22",
    "chrome 108": "22",
    "chrome 120": "24",
}

SYSTEMS = (
    Rule(r"windows nt 6\.2; arm", "Windows RT", "8"),
    Rule(r"windows nt 6\.3; arm", "Windows RT", "8.1"),
    Rule(r"windows nt.+xbox (one|series)( [sx])?", "Xbox", "$1$2"),
    Rule(r"(windows (?:phone|mobile))(?: os)?[-/ ]?([\d.]*)", "$1", "$2"),
    Rule(r"(windows ce)\b/?([\d.]*)", "$1", "$2"),
    Rule(r"windows nt ([5-9]\.[\d.]+|1\d\.0)", WINDOWS),
    Rule(r"\bwin9x", WINDOWS, ""),
    Rule(r"win(?:dows)? (9x 4\.90)", WINDOWS, "ME"),
    Rule(r"windows (?:server )?(\d[\d.]*|xp|me|vista)\b", WINDOWS),
    Rule(r"\bwin(95|98|xp|me)\b", WINDOWS),
    Rule(r"win(?:dows )?nt ?([34]\.\d+)", WINDOWS, "NT $1"),
    Rule(r"\bwin(?:dows )?nt\b", WINDOWS, ""),
    Rule(r"onenote/[\d.]+ \(windows/10\.0", WINDOWS, "10"),
    Rule(r"watch ?os[/,]([\d.]+)", "watchOS"),
    Rule(r"\bwatch\d+,\d+/([\d.]+)", "watchOS"),
    Rule(r"ip(?:hone|ad|od)\b.*os ([\d_.]+) like mac", "iOS"),
    Rule(r"(?:homepod|apple (?:tv|watch))\b.*os ([\d_.]+) like mac", "iOS"),
    Rule(r"ios;fbsv/ ?([\d.]+)", "iOS"),
    Rule(r"iphone.+ios[/ ]([\d.]+)", "iOS"),
    Rule(r"\bip(?:hone|ad|od)\b.*; opera", "iOS", ""),
    Rule(r"cfnetwork/.+darwin", "iOS", ""),
    Rule(r"(morphos)[ /]?([\d.]*)", "$1", "$2"),
    Rule(r"(haiku)", "Haiku", ""),
    Rule(r"mac os x ?([\d._]*)", "macOS"),
    Rule(r"macintosh|mac_powerpc", "macOS", ""),
    Rule(r"android ([\d.]+).*crkey", "Chromecast Android"),
    Rule(r"fuchsia.*crkey/([\d.]+)", "Chromecast Fuchsia"),
    Rule(r"crkey/([\d.]+).*devicetype/smartspeaker", "Chromecast SmartSpeaker"),
    Rule(r"linux.*crkey/([\d.]+)", "Chromecast Linux"),
    Rule(r"crkey/([\d.]+)", "Chromecast"),
    Rule(r"x11.+(pico) .*os([\d.]+)", "$1", "$2"),
    Rule(r"(harmonyos)[/ ]?([\d.]*)", "$1", "$2"),
    Rule(r"(openharmony)[-/ ]([\d.]+)", "$1", "$2"),
    Rule(r"(tizen)[-/ ]?([\d.]*)", "$1", "$2"),
    Rule(r"(android)[-/ ]([\d.]*\d)", "$1", "$2"),
    Rule(r"(android)", "$1", ""),
    Rule(r"\b(blackberry)\w*/([\d.]+)", "$1", "$2"),
    Rule(r"\b(blackberry)\b", "$1", ""),
    Rule(r"\bbb10;", "BlackBerry", "10"),
    Rule(r"(rim tablet os|meego|kaios|bada|firefox os|maemo|sailfish)[-/ ]?([\d.]*)", "$1", "$2"),
    Rule(r"(?:symbian(?:os)?|series60)[-/ ;]*([\d.]*)", "Symbian"),
    Rule(r"(series40)", "$1", ""),
    Rule(r"web0s;.*(?:webos[. ]?)(\d[\d.]*\d|\d+\b)", WEBOS),
    Rule(r"web0s;.+?chr[o0]me/(\d+)", WEBOS, "chrome $1"),
    Rule(r"(?:web0s|webos|hpwos)[/ ;]*(?:linux.*webos)?([\d.]*)", WEBOS),
    Rule(r"(netrange)mmh", "$1", ""),
    Rule(r"(nettv)/([\d.]+)", "$1", "$2"),
    Rule(r"panasonic;(viera)", "$1", ""),
    Rule(r"(nintendo|playstation) (\w+)", "$1", "$2"),
    Rule(r"\((?:mobile|tablet|tv);.*rv:([\w.]+)\).+firefox/[\w.]+(?: tvbrowser/[\w.]+)?$", "Firefox OS"),
    Rule(r"\bcros \w+ ([\d.]+)", "Chrome OS"),
    Rule(r"(palm)(?: ?os)?[/ -]", "$1", ""),
    Rule(
        r"\b(kubuntu|ubuntu|debian|fedora|gentoo|centos|suse|mint|slackware|mageia|mandriva|sabayon|red hat)\b"
        r"[-/]?([\w.]*)",
        "$1",
        "$2",
    ),
    Rule(r"\b(arch) ?linux", "$1", ""),
    Rule(r"sunos ?([\d.]*)", "Solaris"),
    Rule(r"(freebsd|openbsd|netbsd|dragonfly|aix|amigaos|beos|openvms|unix)", "$1", ""),
    Rule(r"(risc os)[- ]?([\d.]*)", "$1", "$2"),
    Rule(r"\b(os/2)", "$1", ""),
    Rule(r"(linux)(?: (i\d86|mips|sh4|aarch64|amd64|\d+\.[\d.]+)\b)?", "$1", "$2"),
)


@cache
def _engine() -> OSExtractor:
    return OSExtractor((f"(?i){rule.pattern}", rule.name, rule.version or None, None, None, None) for rule in SYSTEMS)


def find(user_agent: str) -> Found | None:
    """The operating system, None when the user agent names none."""
    found = _engine().extract(user_agent)
    if found is None or not found.family:
        return None
    version = (found.major or "").replace("_", ".")
    if found.family == WINDOWS:
        version = WINDOWS_VERSIONS.get(version.lower(), version)
    elif found.family == WEBOS:
        version = WEBOS_VERSIONS.get(version, version.removeprefix("chrome "))
    return Found(found.family, version)
