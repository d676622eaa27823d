export function openEverything(): void
export function fire(type: string): void
export function paper(): string
export function textBefore(element: Element): string
export function outline(element: unknown): string
export function focusMatches(selector: string): boolean
export function pageWidth(): number
export function elementCount(): number
export function countUnpacking(): void
export function unpackedCount(): number
export function tryToEscape(): Promise<{ readonly ran: boolean; readonly fetched: boolean }>
/** Texts whose contrast with what is behind them is below 4.5, or 3 for large ones. */
export function lowContrast(): string[]
export function violations(): Promise<string[]>
