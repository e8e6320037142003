import { z } from "zod";
import { processSettings } from "../shared/base/settings.js";
import { defaultWindowMs } from "./launch/restarts.js";
import { defaultScaling } from "./launch/scaling.js";

/** How long a run that is to stop may take, unless it is set. */
export const defaultStopDeadlineMs = 120_000;

/** Settings of the controller. */
export const controllerSettings = processSettings.extend({
  port: z.coerce.number().int().min(0).max(65535).default(7070).describe("gRPC port; 0 takes a free one"),
  httpPort: z.coerce
    .number()
    .int()
    .min(0)
    .max(65535)
    .default(7080)
    .describe("port of the live page, and of calls by browsers and curl; 0 takes a free one")
    .meta({ notWith: ["checkOnly"] }),
  checkOnly: z.stringbool().default(false).describe("only check run specs (ValidateRun), without NATS and without runs: true or false"),
  maxRestarts: z.coerce
    .number()
    .int()
    .min(0)
    .default(10)
    .describe("how often a process of a run is started again after a crash, within the window; ten times as often if it was killed")
    .meta({ notWith: ["checkOnly"] }),
  restartWindowMs: z.coerce
    .number()
    .int()
    .min(1000)
    .default(defaultWindowMs)
    .describe("time in which crashes are counted")
    .meta({ notWith: ["checkOnly"] }),
  stopDeadlineMs: z.coerce
    .number()
    .int()
    .min(0)
    .default(defaultStopDeadlineMs)
    .describe("how long a run that is stopped may take to save a checkpoint before its processes are killed")
    .meta({ notWith: ["checkOnly"] }),
  keepRunsDays: z.coerce
    .number()
    .min(0)
    .default(0)
    .describe("days after which a run that is over is deleted, as by `retort rm`; 0 keeps all")
    .meta({ notWith: ["checkOnly"] }),
  maxUploadBytes: z.coerce
    .number()
    .int()
    .min(0)
    .default(1e12)
    .describe("bytes that everything uploaded by `retort upload` may take in dataDir; 0 refuses uploads")
    .meta({ notWith: ["checkOnly"] }),
  tenants: z
    .string()
    .optional()
    .describe("YAML file with those who share this controller, each with a token, a scope and a quota (services/controller/tenants.ts)")
    .meta({ notWith: ["checkOnly"] }),
  maxFetchBytes: z.coerce
    .number()
    .int()
    .min(0)
    .default(20e9)
    .describe(
      "bytes that are fetched of what one reference (hf://, s3://) names, to check a spec: data, tokenizers, and of weights the heads",
    )
    .meta({ needs: ["launcher=kubernetes"] }),
  launcher: z
    .enum(["kubernetes", "local"])
    .default("local")
    .describe("where the roles of a run live: as pods of a cluster, or as processes of this machine")
    .meta({ notWith: ["checkOnly"] }),
  namespace: z
    .string()
    .optional()
    .describe("namespace of the pods; default: the controller's own, or the kubeconfig's")
    .meta({ needs: ["launcher=kubernetes", "leaderLabel"] }),
  podTemplate: z
    .string()
    .optional()
    .describe("YAML file with a pod template per role (services/controller/kubernetes/pod-template.ts)")
    .meta({ needs: ["launcher=kubernetes"] }),
  owner: z
    .string()
    .optional()
    .describe("ConfigMap that owns what the launcher makes: when it goes, every run's pods go")
    .meta({ needs: ["launcher=kubernetes"] }),
  natsMonitor: z
    .string()
    .optional()
    .describe("host:port of NATS monitoring; with it and KEDA, a role's pods follow the length of its queue from zero")
    .meta({ needs: ["launcher=kubernetes"] }),
  leaderLabel: z
    .string()
    .optional()
    .describe("label of this pod that is true while it leads; it is ready, too, while it waits for the lead of another controller")
    .meta({ notWith: ["checkOnly"] }),
  natsAccount: z
    .string()
    .default("$G")
    .describe("NATS account whose queues KEDA looks at")
    .meta({ needs: ["natsMonitor"] }),
  scalePollingSeconds: z.coerce
    .number()
    .int()
    .min(1)
    .default(defaultScaling.pollingSeconds)
    .describe("how often KEDA looks at the queues")
    .meta({ needs: ["natsMonitor"] }),
  scaleCooldownSeconds: z.coerce
    .number()
    .int()
    .min(0)
    .default(defaultScaling.cooldownSeconds)
    .describe("how long a role may be idle before KEDA takes its last pod; longer than a step")
    .meta({ needs: ["natsMonitor"] }),
  scaleTasksPerPod: z.coerce
    .number()
    .int()
    .min(1)
    .default(defaultScaling.tasksPerPod)
    .describe("tasks, waiting or in hand, for which KEDA makes one pod")
    .meta({ needs: ["natsMonitor"] }),
});

/** Parsed {@link controllerSettings}. */
export type ControllerSettings = z.infer<typeof controllerSettings>;
