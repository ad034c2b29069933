"""What kind of device a user agent is on: mobile, tablet, smarttv, console, wearable, xr or embedded.

A table read from the top like the one of enrich/browsers.py; a line is one maker's or one idea's patterns, any of which
decides. Special devices come first, then models that hide their size or lie about it, then the words that give most
phones and tablets away.
"""

from functools import cache

from ua_parser_rs import DeviceExtractor

TYPES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("console", (r"nintendo", r"playstation (?:\d|portable|vita)", r"\bxbox", r"\bouya\b", r"retroid pocket")),
    ("console", (r"\bshield(?: build|; |\))",)),
    # Headsets
    ("xr", (r"oculusbrowser", r"picobrowser", r"\bvr safari", r"mobile vr\b", r"hololens", r"; glass \d")),
    ("xr", (r"; quest(?: [23]s?| pro)?\)", r"; pico \d")),
    # Televisions, and the boxes and sticks that make one smart
    ("smarttv", (r"hbbtv", r"smart[-_ ]?tv", r"apple ?tv", r"opera tv", r"android ?tv", r"google ?tv", r"fire ?tv")),
    ("smarttv", (r"\btv bro\b", r"\bce-html\b", r"\(dtv\)", r"tizen.+tv", r"large screen", r"\bnettv\b", r"\bstb\b")),
    (
        "smarttv",
        (r"web0s", r"netcast", r"\bmi ?tv", r"\bmibox", r"\bbravia", r"viera", r"\baquos(?:browser|-)", r"vizio"),
    ),
    ("smarttv", (r"\broku(?:\d|/|;|\))", r"; aft\w", r"crkey", r"chromecast", r"shield android")),
    # Watches
    ("wearable", (r"watch ?os[/,]", r"watch ?\d+,\d", r"\b(?:tic|zen|smart|apple |huawei |lg |g |galaxy )watch")),
    ("wearable", (r"\bsm-r\d", r"\bgear (?:s\d?|live)\b", r"moto 360", r"\bow\d\dw\d", r"\bopwwe\d")),
    # Speakers and cars
    ("embedded", (r"homepod", r"\baeobc\b", r"tesla(?:/| qtcar)")),
    # Tablets that call themselves Mobile, or do not name Android at all
    (
        "tablet",
        (r"\bipad", r"playbook", r"touchpad", r"pocketbook", r"\bkobo\b", r"surface duo", r"nexus (?:7|9|10)\b"),
    ),
    ("tablet", (r"\bkindle\b", r"\bkf[a-z]{2,5}\b", r"\baeo[a-z]{2}\b")),
    ("tablet", (r"\bsm-[ptx]\w", r"\bgt-(?:p\d|n(?:5|7[01]|8)\d)", r"\bsch-i800", r"shield tablet", r"pixel c\b")),
    ("tablet", (r"\b(?:ag[rs]\d?k?|bah\d?|bg[2o]|btv|cpn|db[ry]\d?|got|jdn2|kob\d?k?|mon|sht|tgr|vrd)-\w{2,}",)),
    ("tablet", (r"\b(?:eln|gdi|hey2)-[nw]\d\d", r"\b(?:gem|ple)-70\d", r"\bopd\d{4}", r"\btecno p70", r"padfone")),
    ("tablet", (r"\btb-[\dx]\w+", r"\btb\d{3}[fx][cu]\b", r"\byt\d?-x\d", r"ideatab", r"lenovo (?:tb|pb|b[68]000)")),
    ("tablet", (r"mi ?pad", r"redmi pad", r"\b2\d{4}rp\w\d", r"\b(?:a1|b[13])-[a-z]?\d{2,3}\b")),
    ("tablet", (r"; tablet;", r"tablet(?: build|\)|;)")),
    # Phones that do not call themselves Mobile
    ("mobile", (r"\biphone", r"\bipod", r"blackberry", r"\bbb10\b", r"windows (?:phone|mobile)", r"symbian")),
    ("mobile", (r"series[46]0", r"palmos", r"palmsource", r"sonyericsson", r"\bkddi-\w+sn", r"\bpantech", r"\bbenq")),
    ("mobile", (r"\bsm-[acefgjmns]\d", r"\b(?:sch|sgh|sph)-\w", r"\bgt-[a-z]?\d", r"\bsc[-g]\d", r"samsung-s[mcg]")),
    ("mobile", (r"\blg-[a-uw-z]\w", r"\blm-\w", r"\blge? \w", r"\bnokia", r"\bhtc", r"\balcatel", r"\bmicromax")),
    ("mobile", (r"\bmotorola", r"\bmot-", r"\bmoto[ _-][a-z]", r"\bxt\d{4}", r"\bpixel(?: \d|;|\)| xl)", r"\bnexian")),
    (
        "mobile",
        (r"\bvivo \w", r"\bv[12]\d{3}[a-z]{1,2}\b", r"\brmx\d{4}", r"\brealme", r"\bcph\d{4}", r"\bp[de]\w{2}\d0"),
    ),
    (
        "mobile",
        (r"\boneplus", r"\bin20[12]\d", r"\bac200\d", r"\btecno", r"\binfinix", r"\bitel ", r"\bpolytron", r"\bimo "),
    ),
    ("mobile", (r"\bhuawei[-_ ][a-z]", r"\b[a-z]{3}-(?:[at]l|an|tn|lx|nx)\d", r"\blenovo (?:[als]\d)", r"\bzte[- ]")),
    ("mobile", (r"\bredmi", r"\bhm[ _]note", r"\bmi (?:\d|mix)", r"\bm20\d\dj", r"\bmeizu", r"\basus[-_]")),
    ("mobile", (r"; so-\d\d", r"; sh-\d\d", r"\bsony[cs]", r"; (?:g\d0\d0|e[012]\d{3}|d2\d{3})[ )]")),
    # The words that give most away
    ("mobile", (r"android.+mobile", r"\bmobile\b", r"\bkaios\b")),
    ("tablet", (r"tablet",)),
)


@cache
def _engine() -> DeviceExtractor:
    return DeviceExtractor(("|".join(patterns), "i", kind, None, None) for kind, patterns in TYPES)


def find(text: str) -> str:
    """The kind of device that a user agent, or a model's name, tells; '' when it does not."""
    found = _engine().extract(text)
    return "" if found is None else found.family


def is_large_android(user_agent: str) -> bool:
    """Whether Android runs on something that does not call itself Mobile: mostly a tablet."""
    text = user_agent.lower()
    place = text.rfind("android")
    return place >= 0 and "mobile" not in text[place:]
