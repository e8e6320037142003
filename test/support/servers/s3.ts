import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../tools/free-port.js";
import { getGoTool, versitygw } from "../tools/go-tool.js";
import { eventually } from "./nats.js";

const user = "retort-test";
const secret = "retort-test-secret";

/** A real S3 server over a directory (Versity's gateway). */
export class TestS3 {
  readonly endpoint: string;
  readonly #process: ChildProcess;
  readonly #directory: string;

  private constructor(endpoint: string, process: ChildProcess, directory: string) {
    this.endpoint = endpoint;
    this.#process = process;
    this.#directory = directory;
  }

  /** Starts it with one bucket, and with credentials for this process. */
  static async start(bucket: string): Promise<TestS3> {
    const binary = await getGoTool(versitygw);
    const directory = await mkdtemp(join(tmpdir(), "retort-s3-"));
    await mkdir(join(directory, bucket));
    const port = await freePort();
    const child = spawn(binary, ["--access", user, "--secret", secret, "--port", `127.0.0.1:${port}`, "--quiet", "posix", directory], {
      stdio: "ignore",
    });
    const endpoint = `http://127.0.0.1:${port}`;
    // Any answer will do: without a signature it is "access denied".
    await eventually("the S3 server answers", () =>
      fetch(endpoint).then(
        () => true,
        () => false,
      ),
    );
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: user, AWS_SECRET_ACCESS_KEY: secret, AWS_REGION: "us-east-1" });
    return new TestS3(endpoint, child, directory);
  }

  /** Where an object's bytes lie. */
  path(bucket: string, key: string): string {
    return join(this.#directory, bucket, key);
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGTERM");
    await gone;
    await rm(this.#directory, { recursive: true, force: true });
  }
}
