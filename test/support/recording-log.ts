// RecordingLog: keeps what was logged, for tests that expect a line, or none.
import type { Log, LogLevel } from '../../src/logger.ts'

export interface LogLine {
  readonly level: LogLevel
  readonly fields: object
  readonly message: string
}

export class RecordingLog implements Log {
  readonly lines: LogLine[] = []

  debug(fields: object, message: string): void {
    this.lines.push({ level: 'debug', fields, message })
  }

  info(fields: object, message: string): void {
    this.lines.push({ level: 'info', fields, message })
  }

  warn(fields: object, message: string): void {
    this.lines.push({ level: 'warn', fields, message })
  }

  error(fields: object, message: string): void {
    this.lines.push({ level: 'error', fields, message })
  }

  at(level: LogLevel): LogLine[] {
    return this.lines.filter((line) => line.level === level)
  }
}
