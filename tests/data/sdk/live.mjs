// Drives the vendor's Node SDK against a call that goes on: arguments are the base path, the account, the call, a user name and its password.
// SDK_HOME names the folder whose node_modules hold the SDK. Prints one JSON object.
import { createRequire } from "node:module";
import { setTimeout as pause } from "node:timers/promises";

const { CallsApi, Configuration, RecordingsApi, StatisticsApi } = createRequire(`${process.env.SDK_HOME}/`)("bandwidth-sdk");
const [basePath, accountId, callId, username, password] = process.argv.slice(2);
const configuration = new Configuration({ basePath, username, password });
const calls = new CallsApi(configuration);
const recordings = new RecordingsApi(configuration);

async function status(promise) {
  try {
    return (await promise).status;
  } catch (error) {
    return error.response?.status;
  }
}

async function completeRecording() {
  for (let turn = 0; turn < 100; turn += 1) {
    const [recording] = (await recordings.listCallRecordings(accountId, callId)).data;
    if (recording?.status === "complete") return recording;
    await pause(100);
  }
  throw new Error("The recording is not complete within ten seconds.");
}

const document = "<Bxml><StartRecording recordingName='node'/><Pause duration='60'/></Bxml>";
const bxml = await status(calls.updateCallBxml(accountId, callId, document));
const states = [];
for (const state of ["paused", "recording"]) {
  states.push(await status(recordings.updateCallRecordingState(accountId, callId, { state })));
}
const { state } = (await calls.getCallState(accountId, callId)).data;
const statistics = (await new StatisticsApi(configuration).getStatistics(accountId)).data;
const ended = await status(calls.updateCall(accountId, callId, { state: "completed" }));
const recording = await completeRecording();
const { recordingId } = recording;
const media = await recordings.downloadCallRecording(accountId, callId, recordingId, { responseType: "arraybuffer" });

console.log(
  JSON.stringify({
    bxml,
    states,
    state,
    statistics,
    ended,
    recording,
    audio: Buffer.from(media.data).toString("latin1", 0, 4),
    again: await status(calls.updateCall(accountId, callId, { state: "completed" })),
    withoutAudio: await status(recordings.deleteRecordingMedia(accountId, callId, recordingId)),
    deleted: await status(recordings.deleteRecording(accountId, callId, recordingId)),
    gone: await status(recordings.getCallRecording(accountId, callId, recordingId)),
  }),
);
