import {Exposed, readPromql} from "/work/w/chart/dist/test/support/tools/promql.js";
const e=new Exposed(); e.add('a{x="1",run="r"} 2\nb_bucket{le="0.1",run="r"} 1\n', ["namespace"]);
console.log(e.missing('sum by (run) (rate(a{z="1"}[5m])) / c'), e.missing('a{run="r"}',["pod"]), e.missing('a{namespace="x"} > on(namespace, q) b_bucket'));
try { readPromql('sum by (run (a)') } catch (x) { console.log(x.message) }
try { readPromql('rate(a[5m]') } catch (x) { console.log(x.message) }
try { readPromql('rate(a[5 m])') } catch (x) { console.log(x.message) }
