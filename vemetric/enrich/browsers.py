"""Which browser a user agent names, in the original's naming. Asked by enrich/user_agent.py.

One table, read from the top: the first rule that is found anywhere in the user agent decides, so a browser that calls
itself by many names stands above those names. A rule is a pattern (upper and lower case alike), the browser's name and
its version; `$1` and `$2` are the pattern's groups, and a name made of a group is spelled as the user agent spells it.
"""

from functools import cache
from typing import NamedTuple

from ua_parser_rs import OSExtractor


class Found(NamedTuple):
    """What a table found: the name, and the version or ''."""

    name: str
    version: str


class Rule(NamedTuple):
    """One line of a table: what is searched for, and what is answered when it is found."""

    pattern: str
    name: str
    version: str = "$1"


VERSION = r"([\w.]+)"

BROWSERS = (
    # One maker's browser for several systems
    Rule(rf"\b(?:crmo|crios)/{VERSION}", "Mobile Chrome"),
    Rule(rf"webview.+edge/{VERSION}", "Edge WebView"),
    Rule(rf"chrome/{VERSION}.+edgw/", "Edge WebView2"),
    Rule(rf"edg(?:e|ios|a)?/{VERSION}", "Edge"),
    Rule(r"(opera mini)/([-\w.]+)", "$1", "$2"),
    Rule(rf"(opera (?:mobi|tablet))\b.*version/{VERSION}", "$1", "$2"),
    Rule(rf"(opera)(?:.+version/|[/ ]+){VERSION}", "$1", "$2"),
    Rule(rf"opios[/ ]+{VERSION}", "Opera Mini"),
    Rule(rf"\bop(?:rg)?x/{VERSION}", "Opera GX"),
    Rule(rf"\bopr/{VERSION}", "Opera"),
    # Browsers that say their own name, mostly beside that of the engine they borrow
    Rule(rf"(?:baidubrowser|bidubrowser|baiduboxapp|baiduhd|bdspark|bdbrowser(?:_i18n)?)[/ ]{VERSION}", "Baidu"),
    Rule(rf"\b(?:mxbrowser|mxios|myie2|maxthon)[/ ]?\(?{VERSION}", "Maxthon"),
    Rule(rf"(kindle)/{VERSION}", "$1", "$2"),
    Rule(rf"(lunascape|netfront|jasmine|blazer|sleipnir)[/ ]{VERSION}", "$1", "$2"),
    Rule(rf"(iemobile|slim(?:browser|boat|jet))[/ ]*{VERSION}", "$1", "$2"),
    Rule(r"(avant)\b ?(?:browser)?(?:/([\w.]+))?", "$1", "$2"),
    Rule(r"whale/.+naver\(.*?(\d+\.[\w.]+).*\)", "NAVER"),
    Rule(
        r"(rekonq|puffin|whale|qqbrowserlite|duckduckgo|klar|helio|bolt|falkon|flock|rockmelt|qutebrowser|otter|midori|"
        r"epiphany|silk|skyfire|ovibrowser|vivaldi|iron|iridium|phantomjs|bowser|qupzilla|quark|konqueror|brave|palemoon|"
        rf"basilisk|waterfox|arora|dooble|dragon|conkeror|ntentbrowser)/{VERSION}",
        "$1",
        "$2",
    ),
    Rule(r"(weibo)__([\d.]+)", "$1", "$2"),
    Rule(r"(heytap|ovi|115|surf)browser/([\d.]+)", "$1", "$2"),
    Rule(rf"\bddg/{VERSION}", "DuckDuckGo"),
    Rule(rf"\buc ?browser[/ ]?{VERSION}", "UCBrowser"),
    Rule(rf"\bmicromessenger/{VERSION}", "WeChat"),
    Rule(r"\bqq/([\d.]+)", "QQBrowser"),
    Rule(rf"\bm?qqbrowser[/ ]{VERSION}", "QQBrowser"),
    Rule(r"\bmsie ([\w.]+).+trident", "IE"),
    Rule(r"trident.+rv[: ]([\w.]{1,9})\b.+like gecko", "IE"),
    Rule(rf"ya(?:search)?browser/{VERSION}", "Yandex"),
    Rule(rf"(avast|avg)/{VERSION}", "$1 Secure Browser", "$2"),
    Rule(rf"\bfocus/{VERSION}", "Firefox Focus"),
    Rule(r"mobile vr; rv:.+firefox/([\w.]+)", "Firefox Reality"),
    Rule(rf"\bopt/{VERSION}", "Opera Touch"),
    Rule(rf"coc_coc\w+/{VERSION}", "Coc Coc"),
    Rule(rf"dolfin/{VERSION}", "Dolphin"),
    Rule(rf"coast/{VERSION}", "Opera Coast"),
    Rule(rf"miuibrowser/{VERSION}", "MIUI Browser"),
    Rule(rf"fxios/{VERSION}", "Mobile Firefox"),
    Rule(r"\b(?:qihoobrowser|qhbrowser)\b", "360", ""),
    Rule(rf"(oculus|sailfish|huawei|vivo|pico|lg) ?browser/{VERSION}", "$1 Browser", "$2"),
    Rule(rf"samsungbrowser/{VERSION}", "Samsung Internet"),
    Rule(r"metasr[/ ]?([\d.]+)", "Sogou Explorer"),
    Rule(r"sogoumobilebrowser/([\d.]+)", "Sogou Mobile"),
    Rule(rf"(2345)(?:explorer|browser)[/ ]?{VERSION}", "$1", "$2"),
    Rule(r"(lbbrowser|luakit)\b", "$1", ""),
    Rule(r"ecosia[^)]*@([\w.]+)", "Ecosia"),
    # Apps that show pages in a window of their own
    Rule(r"\bfb(?:_iab|an)/.*?;fbav/([\w.]+)", "Facebook"),
    Rule(r"\bfb(?:_iab|an)/", "Facebook", ""),
    Rule(r"\btesla(?:/(\d[-\w.]+)| qtcarbrowser\b)", "Tesla"),
    Rule(rf"(klarna|chromium|instagram|snapchat)[/ ]{VERSION}", "$1", "$2"),
    Rule(rf"\b(kakaotalk|kakaostory)[/ ]{VERSION}", "$1", "$2"),
    Rule(r"naver\(.*?(\d+\.[\w.]+).*\)", "NAVER"),
    Rule(rf"\bdaumapps[/ ]{VERSION}", "Daum"),
    Rule(rf"\b(line)/{VERSION}", "$1", "$2"),
    Rule(rf"\bgsa/{VERSION} .*safari/", "GSA"),
    Rule(rf"(?:musical_ly|trill)(?:.+app_?version/|_){VERSION}", "TikTok"),
    Rule(r"\[linkedinapp\]", "LinkedIn", ""),
    Rule(rf"(zalo)(?:app)?[/ ](?:\w+/)?{VERSION}", "$1", "$2"),
    Rule(r"\btwitterandroid\b(?:[/ ]([\w.]+))?", "Twitter"),
    Rule(r"\btwitter for (?:iphone|ipad)(?:/([\w.]+))?", "Twitter"),
    # The engines' own browsers
    Rule(rf"headlesschrome(?:/{VERSION}| )", "Chrome Headless"),
    Rule(rf" wv\).+chrome/{VERSION}", "Chrome WebView"),
    Rule(rf"(electron)/{VERSION}", "$1", "$2"),
    Rule(r"android.+? version/([\w.]+)\b.+?(?:mobile safari|safari)", "Android Browser"),
    Rule(r"chrome/([\w.]+) mobile", "Mobile Chrome"),
    Rule(r"(chrome|omniweb|tizen browser|nokiabrowser)/v?([\w.]+)", "$1", "$2"),
    Rule(r"version/([\w.,]+) .*mobile(?:/\w+)? ?safari", "Mobile Safari"),
    Rule(r"iphone .*mobile(?:/\w+)? safari", "Mobile Safari", ""),
    Rule(r"version/([\w.,]+) .*safari", "Safari"),
    Rule(r"webkit.+?(mobile ?safari|safari)/[\w.]+", "$1", "1"),
    Rule(rf"(webkit|khtml)/{VERSION}", "$1", "$2"),
    Rule(rf"(?:navigator|netscape6?)/{VERSION}", "Netscape"),
    Rule(rf"(?:mobile|tablet);.*rv:.+firefox/{VERSION}", "Mobile Firefox"),
    Rule(rf"(maemo browser) {VERSION}", "$1", "$2"),
    Rule(r"(iceweasel|iceape|swiftfox|seamonkey|icecat|fennec|icedragon)/([\w.]+)$", "$1", "$2"),
    Rule(r"(swiftfox)", "$1", ""),
    Rule(r"(firefox)/([\w.]+)(?: [\w./]*)*$", "$1", "$2"),
    Rule(
        r"(icecat|iceweasel|iceape|seamonkey|firebird|phoenix|camino|chimera|fennec|minimo|k-meleon|firefox)"
        r"[/ ]v?([\w.]+)",
        "$1",
        "$2",
    ),
    Rule(r"(mozilla)/([\w.]+) .+rv:.+gecko/\d+", "$1", "$2"),
    Rule(r"(?:ms|\()ie[/ ]?([\w.]+)", "IE"),
    Rule(r"(polaris|lynx|dillo|icab|doris|amaya|w3m|netsurf|mosaic|(?:up|go)\.browser)[-/ ]?v?([\w.]+)", "$1", "$2"),
    Rule(r"(obigo)[/ ]?(\w+)", "$1", "$2"),
    Rule(r"\b(links) \(([\w.]+)", "$1", "$2"),
)


@cache
def _engine() -> OSExtractor:
    return OSExtractor((f"(?i){rule.pattern}", rule.name, rule.version or None, None, None, None) for rule in BROWSERS)


def find(user_agent: str) -> Found | None:
    """The browser, None when the user agent names none: then it is a server, an app or a tool."""
    found = _engine().extract(user_agent)
    return None if found is None else Found(found.family, found.major or "")
