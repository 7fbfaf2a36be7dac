// The outputs of an answer, and the rows that they have.

// Whether an output is one result for all rows.
export const isWhole = (answer, index) => answer.said[index].length === 1 && answer.rows.length > 1;

// Numbers of a row of an output.
export const numbersOf = (answer, index) =>
  isWhole(answer, index)
    ? answer.outputs[index].data.length
    : answer.outputs[index].data.length / Math.max(answer.rows.length, 1);
