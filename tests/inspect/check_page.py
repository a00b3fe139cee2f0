"""A page of `usta view`: elements nest, attributes are quoted, the data is JSON whose numbers point to what is there."""
import html.parser
import json
import sys

VOID = {"meta", "input", "br"}


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.stack, self.data, self.drawn = [], None, set()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if "data-i" in attrs:
            assert int(attrs["data-i"]) not in self.drawn, "drawn twice"
            self.drawn.add(int(attrs["data-i"]))
        assert "src" not in attrs and "href" not in attrs and not any(a.startswith("on") for a in attrs), attrs
        if tag not in VOID:
            self.stack.append((tag, attrs.get("id")))

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.stack and self.stack[-1][0] == tag, (tag, self.stack[-3:], self.getpos())
        self.stack.pop()

    def handle_data(self, text):
        if self.stack and self.stack[-1] == ("script", "data"):
            self.data = (self.data or "") + text


page = Page()
page.feed(open(sys.argv[1], encoding="utf-8").read())
page.close()
assert not page.stack, page.stack
data = json.loads(page.data)
assert page.drawn == set(range(len(data["items"])))
for item in data["items"]:
    assert 0 <= item["g"] < len(data["graphs"]) and 0 <= item["k"] < len(data["kinds"])
    for _, value in item.get("i", []) + item.get("u", []):
        assert -1 <= data["values"][value][2] < len(data["items"])
