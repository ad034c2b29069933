"""The log's two forms, and the id that joins the lines of a request."""

import io
import json
import logging

from vemetric import logs


def written(formatter: logging.Formatter, say) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    log = logging.Logger("vemetric.test")
    log.addHandler(handler)
    say(log)
    return stream.getvalue()


def test_plain_lines_bear_the_request() -> None:
    token = logs.request_id.set("abc123")
    line = written(logs.PlainLines(), lambda log: log.warning("It %s", "broke"))
    logs.request_id.reset(token)
    assert line.endswith(" WARNING [abc123] It broke\n")
    assert written(logs.PlainLines(), lambda log: log.info("Fine")).endswith(" INFO Fine\n")


def test_a_json_line_is_one_object_whatever_is_said() -> None:
    def fail(log: logging.Logger) -> None:
        try:
            raise ValueError("two\nlines")
        except ValueError:
            log.exception('He said "%s"', "ä\n")

    token = logs.request_id.set("abc123")
    line = written(logs.JsonLines(), fail)
    logs.request_id.reset(token)
    assert line.count("\n") == 1
    told = json.loads(line)
    assert told["time"].endswith("Z")
    assert (told["level"], told["logger"], told["request"]) == ("error", "vemetric.test", "abc123")
    assert told["message"] == 'He said "ä\n"'
    assert told["error"].endswith("ValueError: two\nlines")
    assert "request" not in json.loads(written(logs.JsonLines(), lambda log: log.info("Fine")))
