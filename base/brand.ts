declare const brand: unique symbol

/** A type that only one place can make, for what is dangerous to mix up. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name }
