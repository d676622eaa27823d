import { startServer } from '/tmp/rooms/recorder/replayer/shadow/server.js'
const s = await startServer(); console.log(s.url()); setInterval(() => {}, 1000)
process.on('SIGTERM', () => s.stop().then(() => process.exit()))
