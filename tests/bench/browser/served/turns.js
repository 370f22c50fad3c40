/**
 * Let contestants take turns, in slices of a round.
 *
 * Each is first warmed up, which also finds how much work fills its slice; from one slice to the next they change order.
 *
 * @param {{least: number, play: function(number): Promise<number>}[]} seats  `play` does so many operations, a multiple
 *   of `least`, and gives the seconds they took, without their preparation
 * @param {{rounds: number, seconds: number, slice: number}} rules  seconds of each in a round, and in a slice of it
 * @returns {Promise<number[][]>} of each, for each round, the seconds for one operation
 */
export async function compete(seats, { rounds, seconds, slice }) {
  const players = [];
  for (const seat of seats) players.push(await warmedUp(seat, seconds, slice));
  const slices = Math.max(1, Math.round(seconds / Math.max(...players.map(({ took }) => took))));
  const costs = players.map(() => []);
  for (let round = 0; round < rounds; round++) {
    const sums = players.map(() => 0);
    for (let turn = 0; turn < slices; turn++) {
      const order = [...players.keys()];
      if ((round + turn) % 2) order.reverse();
      for (const place of order) sums[place] += await players[place].play(players[place].count);
    }
    sums.forEach((sum, place) => costs[place].push(sum / (slices * players[place].count)));
  }
  return costs;
}

async function warmedUp({ least, play }, seconds, slice) {
  let [count, took, all] = [least, 0, 0];
  for (let plays = 0; plays < 2 || all < seconds; plays++) {
    if (plays) count = least * Math.max(1, Math.round(((count / least) * Math.min(8, slice / took))));
    took = await play(count);
    all += took;
  }
  return { play, count, took };
}
