import { heat, isReport, reportPage, tableRows } from "../../../../services/cli/demo/page.js";

describe("heat()", () => {
  it("colours each token by its divergence, says it, and escapes the text", () => {
    expect(heat(["a", " <b>"], [0, 2])).toBe(
      '<span style="background:rgba(220,60,40,0.00)" title="0.000 nats">a</span>' +
        '<span style="background:rgba(220,60,40,0.50)" title="2.000 nats"> &lt;b&gt;</span>',
    );
  });

  it("is as red as can be from 4 nats on, and pale where nothing was measured", () => {
    expect(heat(["x"], [9])).toContain("rgba(220,60,40,1.00)");
    expect(heat(["x"])).toContain("rgba(220,60,40,0.00)");
  });
});

describe("reportPage()", () => {
  it("is told from files of others by its first bytes, whichever demo wrote it", () => {
    const page = reportPage("on-policy distillation", "<p>body</p>");
    expect(isReport(page.slice(0, 4096))).toBe(true);
    expect(page).toContain("<title>Retort: on-policy distillation</title>");
    expect(page).toContain("<h1>On-policy distillation</h1>\n<p>body</p>");
    expect(isReport("<!doctype html><title>Mine</title>")).toBe(false);
  });
});

describe("tableRows()", () => {
  it("makes a row of each list, in cells of a kind, as text", () => {
    expect(tableRows([["a", "<"], ["b"]], "td")).toBe("<tr><td>a</td><td>&lt;</td></tr>\n<tr><td>b</td></tr>");
  });
});
