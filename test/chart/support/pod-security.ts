import type { Manifest } from "./render.js";

type Context = {
  allowPrivilegeEscalation?: boolean;
  capabilities?: { add?: string[]; drop?: string[] };
  privileged?: boolean;
  procMount?: string;
  runAsNonRoot?: boolean;
  runAsUser?: number;
  seLinuxOptions?: { type?: string; user?: string; role?: string };
  seccompProfile?: { type: string };
};
type Container = { name: string; securityContext?: Context; ports?: { hostPort?: number }[] };

/** Volumes that the restricted standard permits. */
const permittedVolumes = [
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "image",
  "persistentVolumeClaim",
  "projected",
  "secret",
];

/**
 * What keeps a pod from being admitted under the restricted Pod Security Standard, every control of it:
 * https://kubernetes.io/docs/concepts/security/pod-security-standards/
 */
export function restrictions({ spec, metadata }: Manifest): string[] {
  const pod = (spec.securityContext ?? {}) as Context & { sysctls?: unknown[] };
  const containers: Container[] = [...spec.containers, ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])];
  const problems: string[] = [];
  const forbid = (broken: unknown, problem: string) => broken && problems.push(problem);
  for (const field of ["hostNetwork", "hostPID", "hostIPC"]) forbid(spec[field], field);
  forbid(pod.sysctls?.length, "sysctls");
  for (const annotation of Object.keys(metadata?.annotations ?? {})) forbid(/apparmor/.test(annotation), annotation);
  for (const { name, ...source } of spec.volumes ?? [])
    forbid(!Object.keys(source).every((kind) => permittedVolumes.includes(kind)), `volume ${name}: ${Object.keys(source)}`);
  for (const { name, securityContext: own = {}, ports = [] } of containers) {
    const on = (broken: unknown, problem: string) => forbid(broken, `${name}: ${problem}`);
    on(own.privileged, "privileged");
    on(own.allowPrivilegeEscalation !== false, "allowPrivilegeEscalation");
    on(!own.capabilities?.drop?.includes("ALL"), "capabilities.drop");
    on(
      own.capabilities?.add?.some((capability) => capability !== "NET_BIND_SERVICE"),
      "capabilities.add",
    );
    on((own.runAsNonRoot ?? pod.runAsNonRoot) !== true, "runAsNonRoot");
    on((own.runAsUser ?? pod.runAsUser) === 0, "runAsUser");
    on(!["RuntimeDefault", "Localhost"].includes((own.seccompProfile ?? pod.seccompProfile)?.type ?? ""), "seccompProfile");
    on((own.procMount ?? "Default") !== "Default", "procMount");
    const { type = "", user = "", role = "" } = own.seLinuxOptions ?? pod.seLinuxOptions ?? {};
    on(user || role || !["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"].includes(type), "seLinuxOptions");
    on(
      ports.some(({ hostPort }) => hostPort),
      "hostPort",
    );
  }
  return problems;
}
