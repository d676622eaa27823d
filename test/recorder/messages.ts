/** A server's messages, for scripts that play one. */
import { MessageWriter } from '../../wire/bytes.js'

const message = (type: string, body: Uint8Array = new Uint8Array(0)): Buffer =>
  new MessageWriter().start(type.charCodeAt(0)).raw(body).finish().bytes()

const body = (write: (writer: MessageWriter) => MessageWriter): Buffer => write(new MessageWriter()).bytes()

export type TestColumn = { name: string; typeOid: number; format?: 0 | 1; tableOid?: number; attnum?: number }

export const server = {
  message,
  authentication: (code: number, data: Uint8Array) =>
    message(
      'R',
      body((w) => w.int32(code).raw(data)),
    ),
  authenticationOk: () =>
    message(
      'R',
      body((w) => w.int32(0)),
    ),
  parameter: (name: string, value: string) =>
    message(
      'S',
      body((w) => w.string(name).string(value)),
    ),
  key: (pid: number) =>
    message(
      'K',
      body((w) => w.int32(pid).int32(1)),
    ),
  ready: (status: string) => message('Z', Buffer.from(status)),
  complete: (tag: string) =>
    message(
      'C',
      body((w) => w.string(tag)),
    ),
  error: (sqlstate: string) => message('E', Buffer.from(`SERROR\0C${sqlstate}\0Mmessage\0\0`)),
  notice: (text: string) => message('N', Buffer.from(`SNOTICE\0C00000\0M${text}\0\0`)),
  columns: (columns: readonly TestColumn[]) =>
    message(
      'T',
      body((w) => {
        w.int16(columns.length)
        for (const { name, typeOid, format = 0, tableOid = 0, attnum = 0 } of columns) {
          w.string(name).int32(tableOid).int16(attnum).int32(typeOid).int16(-1).int32(-1).int16(format)
        }
        return w
      }),
    ),
  row: (cells: readonly (string | Uint8Array | null)[]) =>
    message(
      'D',
      body((w) => {
        w.int16(cells.length)
        for (const cell of cells) w.counted(cell)
        return w
      }),
    ),
  parameterTypes: (oids: readonly number[]) =>
    message(
      't',
      body((w) => {
        w.int16(oids.length)
        for (const oid of oids) w.int32(oid)
        return w
      }),
    ),
}
