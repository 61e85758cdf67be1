export const truncate = (text, length) => text.length <= length ? text : `${text.slice(0, length - 1)}…`
