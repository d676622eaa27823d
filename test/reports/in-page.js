/**
 * What the page's tests do inside the page. Plain JavaScript, because it is read by a browser and sees the browser's names;
 * each function stands alone.
 */

export function openEverything() {
  for (const details of document.querySelectorAll('details')) details.open = true
}

export function fire(type) {
  dispatchEvent(new Event(type))
}

export function paper() {
  return getComputedStyle(document.body).backgroundColor
}

export function textBefore(element) {
  return getComputedStyle(element, '::before').content
}

export function outline(element) {
  return getComputedStyle(element).outlineStyle
}

export function focusMatches(selector) {
  return document.activeElement?.matches(selector) ?? false
}

export function pageWidth() {
  return document.documentElement.scrollWidth
}

export function elementCount() {
  return document.querySelectorAll('*').length
}

/** Before the page's own script runs. */
export function countUnpacking() {
  window.unpacked = 0
  const Original = DecompressionStream
  window.DecompressionStream = class extends Original {
    constructor(format) {
      super(format)
      window.unpacked += 1
    }
  }
}

export function unpackedCount() {
  return window.unpacked
}

/** What a script would try if one got in. */
export async function tryToEscape() {
  const image = document.createElement('img')
  image.src = 'https://example.invalid/x.png'
  document.body.append(image)
  const script = document.createElement('script')
  try {
    script.textContent = 'window.ran = true'
    document.body.append(script)
  } catch {
    // Trusted types refuse it already here.
  }
  const fetched = await fetch('https://example.invalid/').then(
    () => true,
    () => false,
  )
  return { ran: 'ran' in window, fetched }
}

/** Runs in the page: texts whose contrast with what is behind them is below 4.5 (3 for large text). */
export function lowContrast() {
  const parse = (css) => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
    if (!canvas) throw new Error('no canvas')
    canvas.fillStyle = css
    canvas.fillRect(0, 0, 1, 1)
    const [r = 0, g = 0, b = 0, a = 0] = canvas.getImageData(0, 0, 1, 1).data
    return [r, g, b, a / 255]
  }
  const over = (top, under) => {
    const mix = (i) => top[i] * top[3] + under[i] * (1 - top[3])
    return [mix(0), mix(1), mix(2), 1]
  }
  const behind = (element) => {
    if (!element) return [255, 255, 255, 1]
    const own = parse(getComputedStyle(element).backgroundColor)
    return own[3] === 1 ? own : over(own, behind(element.parentElement))
  }
  const luminance = ([r, g, b]) => {
    const linear = (value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4)
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
  }
  const poor = new Set()
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement
    if (
      !element ||
      !node.textContent?.trim() ||
      !element.checkVisibility() ||
      element.closest('script, .visually-hidden')
    )
      continue
    const style = getComputedStyle(element)
    const ground = behind(element)
    const ink = over(parse(element.closest('svg') ? style.fill : style.color), ground)
    const [light, dark] = [luminance(ink), luminance(ground)].sort((a, b) => b - a)
    const ratio = (light + 0.05) / (dark + 0.05)
    const size = Number.parseFloat(style.fontSize)
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700)
    if (ratio < (large ? 3 : 4.5)) poor.add(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`)
  }
  return [...poor]
}

/** What axe-core, loaded before, objects to: the rule and the first elements. */
export async function violations() {
  const found = await window.axe.run(document, { resultTypes: ['violations'] })
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ target }) => target.join(' '))}`)
}
