import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import puppeteer, { type Browser, type Page } from "puppeteer-core";

/** Where screenshots go. */
const shots = process.env.RETORT_SCREENSHOTS ?? ".tools/screenshots";

/** A Chromium of this machine: CHROMIUM, or the one on the PATH; undefined without one. */
export function findChromium(): string | undefined {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const name of ["chromium", "chromium-browser", "google-chrome"])
    try {
      return execFileSync("which", [name], { encoding: "utf8" }).trim();
    } catch {
      // The next one, then.
    }
  return undefined;
}

/** How a page is looked at. */
export type Theme = "light" | "dark";

/** How pages are looked at: themes, and widths of windows. */
export const shotThemes: readonly Theme[] = ["light", "dark"];
const widths: readonly number[] = [390, 1280, 2560];

/** A page in a real browser, with everything that went wrong in it. */
export class Visitor {
  readonly browser: Browser;
  readonly page: Page;
  /** Errors of the page's program and its console, what the policy refused included. */
  readonly complaints: string[] = [];

  private constructor(browser: Browser, page: Page) {
    [this.browser, this.page] = [browser, page];
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") this.complaints.push(message.text());
    });
  }

  static async open(executablePath: string): Promise<Visitor> {
    // A container's root can't have Chromium's sandbox; the pages are our own.
    const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox"] });
    return new Visitor(browser, await browser.newPage());
  }

  /** Goes to a place of the page, and waits until something is there. */
  async visit(url: string, selector: string, width = 1280, theme: Theme = "light"): Promise<void> {
    await this.page.setViewport({ width, height: 900 });
    await this.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
    await this.page.goto(url);
    await this.page.waitForSelector(selector, { timeout: 60_000 });
    await this.page.evaluate("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))");
  }

  /** Takes pictures of a place at every width, light and dark; nothing may be wider than its window, and axe-core finds nothing. */
  async look(url: string, selector: string, name: string): Promise<void> {
    await this.#look(name, (width, theme) => this.visit(url, selector, width, theme));
  }

  /** Takes pictures as {@link look} does, of the page as it is. */
  async lookHere(name: string): Promise<void> {
    await this.#look(name, async (width, theme) => {
      await this.page.setViewport({ width, height: 900 });
      await this.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
    });
  }

  async #look(name: string, go: (width: number, theme: Theme) => Promise<void>): Promise<void> {
    for (const theme of shotThemes)
      for (const width of widths) {
        await go(width, theme);
        await this.shoot(`${name}-${width}-${theme}`);
        // What axe-core looks at doesn't change above this width, and takes long.
        const found = width < 2560 ? await this.violations() : [];
        expect([width, theme, await this.overflow(), found]).toEqual([width, theme, 0, []]);
      }
  }

  /** What axe-core finds, one line per rule. */
  async violations(): Promise<string[]> {
    await this.page.evaluate(readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8"));
    return (await this.page.evaluate(
      "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' ')))",
    )) as string[];
  }

  /** Pixels by which the page is wider than its window. */
  overflow(): Promise<number> {
    return this.page.evaluate("document.documentElement.scrollWidth - innerWidth") as Promise<number>;
  }

  /** The text of an element. */
  text(selector: string): Promise<string> {
    return this.page.$eval(selector, ({ textContent }) => textContent ?? "");
  }

  /** Lets the next answer to a method be lost on its way: the controller has done what was asked. */
  async loseAnswer(method: string): Promise<void> {
    const client = await this.page.createCDPSession();
    client.once("Fetch.requestPaused", async ({ requestId }) => {
      await client.send("Fetch.failRequest", { requestId, errorReason: "ConnectionReset" });
      await client.detach();
    });
    await client.send("Fetch.enable", { patterns: [{ urlPattern: `*/${method}`, requestStage: "Response" }] });
  }

  /** Clicks the button of this text. */
  press(text: string): Promise<void> {
    return this.page.locator(`::-p-xpath(//button[normalize-space()='${text}'])`).click();
  }

  /** Writes a text into a field in the place of what stands there. */
  async write(selector: string, text: string): Promise<void> {
    await this.page.focus(selector);
    await this.page.keyboard.down("Control");
    await this.page.keyboard.press("a");
    await this.page.keyboard.up("Control");
    // As if it were pasted: a page learns of it by its events.
    const client = await this.page.createCDPSession();
    await client.send("Input.insertText", { text });
    await client.detach();
  }

  /** Chooses an option of the select that is labelled so, by its value. */
  async choose(label: string, value: string): Promise<void> {
    const select = await this.page.waitForSelector(`::-p-xpath(//label[starts-with(normalize-space(), '${label}')]/select)`);
    await select?.select(value);
    await this.page.evaluate("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))");
  }

  /** Takes a picture for people to look at. */
  async shoot(name: string): Promise<void> {
    await mkdir(shots, { recursive: true });
    await this.page.screenshot({ path: join(shots, `${name}.png`) as `${string}.png`, fullPage: true });
  }
}
