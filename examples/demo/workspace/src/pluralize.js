export const pluralize = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`
