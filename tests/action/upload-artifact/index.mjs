// Uploads a folder to the artifact server of `act`, with GitHub's own client.
import { appendFileSync, readdirSync } from "node:fs";
import http from "node:http";
import { join, resolve } from "node:path";

const { GITHUB_OUTPUT, GITHUB_SERVER_URL, GITHUB_REPOSITORY, GITHUB_RUN_ID, ARTIFACT_LIBRARY } = process.env;
const { DefaultArtifactClient } = await import(ARTIFACT_LIBRARY);
// act signs the upload's address in base64 with its padding, which Azure's client drops and act then misses.
const request = http.request;
http.request = (options, ...rest) =>
  request({ ...options, path: options.path?.replace(/([?&]sig=[\w-]{43})(?=&)/, "$1=") }, ...rest);

const root = resolve(process.env.INPUT_PATH);
const files = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
const retentionDays = Number(process.env["INPUT_RETENTION-DAYS"]) || undefined;
const { id } = await new DefaultArtifactClient().uploadArtifact(process.env.INPUT_NAME, files, root, { retentionDays });
const url = `${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}/actions/runs/${GITHUB_RUN_ID}/artifacts/${id}`;
appendFileSync(GITHUB_OUTPUT, `artifact-id=${id}\nartifact-url=${url}\n`);
