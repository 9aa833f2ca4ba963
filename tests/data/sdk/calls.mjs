// Drives the vendor's Node SDK against a server: arguments are the base path, the account, a call and a token.
// SDK_HOME names the folder whose node_modules hold the SDK. Prints one JSON object.
import { createRequire } from "node:module";

const { CallsApi, Configuration, RecordingsApi } = createRequire(`${process.env.SDK_HOME}/`)("bandwidth-sdk");
const [basePath, accountId, callId, accessToken] = process.argv.slice(2);
const configuration = new Configuration({ basePath, accessToken });
const calls = new CallsApi(configuration);
const recordings = new RecordingsApi(configuration);

async function problem(promise) {
  try {
    return { status: (await promise).status };
  } catch (error) {
    return { status: error.response?.status, data: error.response?.data };
  }
}

const page = await calls.listCalls(accountId, undefined, undefined, undefined, undefined, "hangup", 1);
const state = await calls.getCallState(accountId, callId);
const listed = await recordings.listCallRecordings(accountId, callId);
const recordingId = listed.data[0].recordingId;
const media = await recordings.downloadCallRecording(accountId, callId, recordingId, { responseType: "arraybuffer" });
const ofAccount = await recordings.listAccountCallRecordings(accountId);

console.log(
  JSON.stringify({
    calls: page.data,
    link: page.headers.link ?? "",
    state: state.data,
    recording: (await recordings.getCallRecording(accountId, callId, recordingId)).data,
    ofAccount: ofAccount.data,
    audio: Buffer.from(media.data).toString("base64"),
    unknown: await problem(calls.getCallState(accountId, "c-nobody")),
    forbidden: await problem(calls.listCalls("1111111")),
  }),
);
