import { describeChart, find, type Manifest, podsOf, type RenderOptions, render } from "./support/render.js";

type Selector = { matchLabels?: Record<string, string>; matchExpressions?: { key: string; values: string[] }[] };
type Peer = { podSelector?: Selector; namespaceSelector?: Selector };
type Rule = { from?: Peer[]; to?: Peer[]; ports?: { port: string | number }[] };

const selects = ({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Record<string, string>): boolean =>
  Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
  matchExpressions.every(({ key, values }) => values.includes(labels[key] ?? ""));

/** Which pods of the release may open a connection to which, as the policies say: `student -> nats:client`. */
async function arrows(options: RenderOptions): Promise<string[]> {
  const manifests = await render(options);
  const policies = manifests.filter(({ kind }) => kind === "NetworkPolicy").map(({ spec }) => spec);
  const pods = podsOf(manifests).map(([name, { metadata, spec }]) => ({
    name,
    labels: metadata.labels!,
    ports: spec.containers[0].ports ?? [],
  }));
  const allows = (direction: "ingress" | "egress", pod: (typeof pods)[0], peer: (typeof pods)[0], port: string): boolean => {
    const type = direction === "ingress" ? "Ingress" : "Egress";
    const mine = policies.filter(({ podSelector, policyTypes }) => policyTypes.includes(type) && selects(podSelector, pod.labels));
    if (mine.length === 0) return true;
    return mine.some((policy) =>
      ((policy[direction] ?? []) as Rule[]).some((rule) => {
        const peers = direction === "ingress" ? rule.from : rule.to;
        const known = peers?.some(({ podSelector, namespaceSelector }) => !namespaceSelector && selects(podSelector!, peer.labels)) ?? true;
        return known && (rule.ports?.some((allowed) => allowed.port === port) ?? true);
      }),
    );
  };
  return pods
    .flatMap((from) => pods.flatMap((to) => to.ports.map(({ name }: { name: string }) => ({ from, to, port: name }))))
    .filter(({ from, to, port }) => from !== to && allows("egress", from, to, port) && allows("ingress", to, from, port))
    .map(({ from, to, port }) => `${from.name} -> ${to.name}:${port}`)
    .sort();
}

describeChart("the network policies", () => {
  it("let the pods of a release open the connections of the flow, and no other", async () => {
    expect(await arrows({})).toEqual([
      "controller -> nats:client",
      "learner -> nats:client",
      "reward -> nats:client",
      "student -> nats:client",
      "teacher -> nats:client",
      "test -> controller:grpc",
    ]);
  });

  it("let the test, and what starts the values' runs, call a controller that has named callers only", async () => {
    const set = ['runs.nightly={"seed":1}'];
    expect(await arrows({ example: "external-nats-mtls", set })).toEqual(["starter -> controller:grpc", "test -> controller:grpc"]);
  });

  it("let everything through when they are switched off", async () => {
    expect(await arrows({ set: ["networkPolicies.enabled=false"] })).toContain("student -> teacher:grpc");
  });

  it("deny every pod of the release what no other policy allows", async () => {
    const manifests = await render();
    const deny = find(manifests, "NetworkPolicy", "retort-default-deny").spec;
    expect(deny.policyTypes).toEqual(["Ingress", "Egress"]);
    expect(deny).not.toHaveProperty("ingress");
    for (const [, { metadata }] of podsOf(manifests)) expect(selects(deny.podSelector, metadata.labels!)).toBe(true);
  });

  const egressPorts = (manifests: readonly Manifest[], name: string): unknown[] =>
    (find(manifests, "NetworkPolicy", name).spec.egress as Rule[]).flatMap(({ ports = [] }) => ports.map(({ port }) => port));

  it("open the ports of an external NATS, of a bucket, of rewards and teachers elsewhere and of traces", async () => {
    const external = await render({ example: "external-nats-mtls" });
    expect(new Set(egressPorts(external, "retort-members"))).toEqual(new Set([4222, 9000]));
    expect(egressPorts(external, "retort-reward")).toEqual([7072]);
    const served = await render({ set: ['networkPolicies.teacherEgress=[{"ports":[{"port":8000}]}]'] });
    expect(egressPorts(served, "retort-teacher")).toEqual([8000]);
    expect(egressPorts(await render({ example: "multi-gpu-keda" }), "retort-members")).toEqual(["client", 4318]);
    expect(egressPorts(await render({ set: ['tracing.endpoint="https://traces.example.com"'] }), "retort-members")).toEqual([
      "client",
      443,
    ]);
  });
});
