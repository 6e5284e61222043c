// Builds the server, the peer and the limits, measures them in turns, and writes the table into docs/performance.md. One run of each after
// the other, several times over: what else the machine does then hits all of them, and the ratios hold where the digits do not.
//
//   node benches/compare.mjs [--runs 3] [--seconds 8] [--only chat,rest] [--peers jivchat,node,limit] [--no-build]

import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
const { values: flags } = parseArgs({
  options: {
    runs: { type: "string", default: "3" },
    seconds: { type: "string", default: "8" },
    only: { type: "string" },
    peers: { type: "string", default: "jivchat,node,limit" },
    "no-build": { type: "boolean", default: false },
  },
});
const seconds = ["--seconds", flags.seconds];

// name, arguments of the load generator, the figures to show with the factor by which more is better (1) or worse (-1), who can do it.
const rows = [
  ["chat: 100 pairs, 8 in flight", ["chat", ...seconds], { messages_per_s: 1, latency_p99_ms: -1, server_cpu_s_per_10000: -1 }],
  ["chat: one pair, 1 in flight", ["chat", "--pairs", "1", "--in-flight", "1", ...seconds], { latency_p50_ms: -1 }],
  ["chat: 1,000 a second", ["chat", "--rate", "1000", ...seconds], { latency_p50_ms: -1, latency_p99_ms: -1 }],
  ["chat: 5,000 a second", ["chat", "--rate", "5000", ...seconds], { latency_p50_ms: -1, latency_p99_ms: -1, server_cpu_s_per_10000: -1 }],
  ["rest: 32 connections", ["rest", ...seconds], { requests_per_s: 1, server_cpu_s_per_10000: -1 }],
  ["fanout: 1,000 sockets", ["fanout", ...seconds], { deliveries_per_s: 1, server_cpu_s_per_100000: -1 }],
  ["idle: 10,000 sockets", ["idle", "--seconds", "5"], { kib_per_socket: -1, rss_after_mib: -1 }],
  ["connect", ["connect"], { connects_per_s: 1 }],
  ["storm: 10,000 clients", ["storm"], { all_back_s: -1 }],
  ["deep: page 1,000 of 100,000 messages", ["deep"], { ratio: -1, old_page_p50_ms: -1 }, ["jivchat", "node"]],
  ["upload: eight of 49 MiB", ["upload"], { ratio: 1, peak_rss_above_rest_mib: -1 }, ["jivchat"]],
];

const node = join(target, "node-peer");
const run = (command, args, options = {}) => execFileSync(command, args, { cwd: root, stdio: "inherit", ...options });

function build() {
  run("cargo", ["build", "--release", "--bin", "jivchat", "--example", "load"]);
  run("cargo", ["build", "--release", "--bench", "limits"]);
  mkdirSync(node, { recursive: true });
  cpSync(join(root, "benches/node"), node, { recursive: true });
  if (!existsSync(join(node, "node_modules/better-sqlite3"))) run("npm", ["install", "--no-audit", "--no-fund"], { cwd: node });
}

// cargo gives a bench a hash; the newest is the one just built.
function limits() {
  const deps = join(target, "release/deps");
  const built = readdirSync(deps).filter((name) => /^limits-[0-9a-f]+$/.test(name));
  built.sort((a, b) => statSync(join(deps, b)).mtimeMs - statSync(join(deps, a)).mtimeMs);
  return join(deps, built[0]);
}

const servers = {
  jivchat: () => ["--binary", join(target, "release/jivchat")],
  node: () => ["--command", `node ${join(node, "server.js")}`],
  limit: () => ["--command", `${limits()} serve`],
};

function measure(peer, args) {
  const result = spawnSync(join(target, "release/examples/load"), [...(cpus().length > 1 ? ["--pin"] : []), "--json", ...servers[peer](), ...args], {
    encoding: "utf8",
    timeout: 300_000,
  });
  if (result.status !== 0) {
    console.error(`${peer} ${args.join(" ")}: ${result.stderr.trim().split("\n").slice(-3).join(" | ")}`);
    return null;
  }
  return JSON.parse(result.stdout);
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const digits = (value) => (value >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3))));

function table() {
  const peers = flags.peers.split(",");
  const only = flags.only?.split(",");
  const lines = [`| work | figure | ${peers.join(" | ")} | ${peers.slice(1).map((peer) => `against ${peer}`).join(" | ")} |`];
  lines.push(`|---|---|${"---:|".repeat(peers.length * 2 - 1)}`);
  for (const [name, args, figures, able = peers] of rows) {
    if (only && !only.includes(args[0])) continue;
    const found = Object.fromEntries(peers.map((peer) => [peer, []]));
    for (let turn = 0; turn < Number(flags.runs); turn += 1) {
      for (const peer of peers.filter((peer) => able.includes(peer))) {
        const report = measure(peer, args);
        if (report) found[peer].push(report);
        console.error(`${name}: run ${turn + 1}, ${peer}: ${report ? Object.keys(figures).map((figure) => `${figure} ${report[figure]}`).join(", ") : "failed"}`);
      }
    }
    for (const [figure, sense] of Object.entries(figures)) {
      const medians = peers.map((peer) => median(found[peer].map((report) => report[figure])));
      const ratios = medians.slice(1).map((value) => {
        if (value === undefined || medians[0] === undefined) return "";
        return `${digits(sense === 1 ? medians[0] / value : value / medians[0])}×`;
      });
      const shown = medians.map((value) => (value === undefined ? "" : digits(value)));
      lines.push(`| ${name} | ${figure} | ${shown.join(" | ")} | ${ratios.join(" | ")} |`);
    }
  }
  return lines.join("\n");
}

if (!flags["no-build"]) build();
const measured = table();
console.log(measured);
const page = join(root, "docs/performance.md");
const [begin, end] = ["<!-- table: written by benches/compare.mjs -->", "<!-- end of the table -->"];
const text = readFileSync(page, "utf8");
const [before, rest] = text.split(begin);
const after = rest.split(end)[1];
const when = `${cpus().length} cores, ${cpus()[0].model.trim()}; ${flags.runs} runs of each in turns, medians.`;
writeFileSync(page, `${before}${begin}\n\n${when}\n\n${measured}\n\n${end}${after}`);
