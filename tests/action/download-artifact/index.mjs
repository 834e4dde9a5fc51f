// Downloads the artifacts of this run from the artifact server of `act`, each into a folder of its name.
import { join } from "node:path";

const { DefaultArtifactClient } = await import(process.env.ARTIFACT_LIBRARY);
const client = new DefaultArtifactClient();
const wanted = process.env.INPUT_PATTERN.replace("*", "");
const { artifacts } = await client.listArtifacts();
for (const { id, name } of artifacts.filter((one) => one.name.startsWith(wanted)))
  await client.downloadArtifact(id, { path: join(process.env.INPUT_PATH, name) });
