import { writeFileSync } from "node:fs";
import { openCharts } from "../../../services/reproduce/report/charts.js";
import { drawShown } from "./from-results.js";

// Draws the figures of documents anew: node dist/test/bench/figures/draw.js
for (const [name, svg] of drawShown(await openCharts())) writeFileSync(`test/bench/figures/${name}.svg`, svg);
