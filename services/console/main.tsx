import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import "./style.css";
import { ControllerSource } from "./source/controller-source.js";
import { FileSource } from "./source/file-source.js";
import { readReportData } from "./source/report-data.js";
import { follow } from "./state.js";
import { App } from "./views/app.js";

const embedded = document.getElementById("retort-report")?.textContent;
const source = embedded ? new FileSource(readReportData(embedded)) : new ControllerSource(location.origin);
follow();
render(<App source={source} />, document.getElementById("app") ?? document.body);
