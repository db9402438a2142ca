// Reads safetensors files with @huggingface/hub, which TestHub compares with this package.
//
//   node hub.mjs FOLDER <paths      FOLDER has node_modules; paths are a JSON list
//
// It prints a line of JSON for each file. The package only reads from a server, so requests are
// answered from the files.
import { openSync, fstatSync, readSync, closeSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";

const hub = await import(pathToFileURL(join(process.argv[2], "node_modules/@huggingface/hub/dist/index.mjs")));

// answer returns the range of a file that a request asks for.
function answer(path, range) {
  const file = openSync(path);
  try {
    const size = fstatSync(file).size;
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range);
    const part = Buffer.alloc(Math.min(Number(to) + 1, size) - Number(from));
    readSync(file, part, 0, part.length, Number(from));
    return new Response(part, {
      status: 206,
      headers: { "Content-Range": `bytes ${from}-${Number(from) + part.length - 1}/${size}`, ETag: '"1"' },
    });
  } finally {
    closeSync(file);
  }
}

for (const path of JSON.parse(readFileSync(0, "utf8"))) {
  const fetch = async (url, init) => {
    const range = new Headers(init?.headers).get("Range");
    const here = new URL(url).pathname.endsWith("/resolve/main/" + encodeURIComponent(basename(path)));
    return here && range ? answer(path, range) : new Response("not found", { status: 404 });
  };
  try {
    const { header } = await hub.parseSafetensorsMetadata({ repo: "a/b", path: basename(path), fetch });
    console.log(JSON.stringify({ path, header }));
  } catch (error) {
    console.log(JSON.stringify({ path, error: String(error) }));
  }
}
