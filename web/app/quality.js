/** From figures to what a person is shown. Pure. */

/**
 * How good a flow is: 3 good, 2 fair, 1 poor.
 * @param {{lossFraction: number, freezes?: number}} flow
 * @param {number} [freezesBefore]
 * @param {number | null} [rttMs]
 * @returns {1 | 2 | 3}
 */
export function qualityOf({ lossFraction, freezes = 0 }, freezesBefore = freezes, rttMs = null) {
  if (lossFraction > 0.1 || freezes - freezesBefore > 1 || (rttMs ?? 0) > 800) return 1;
  if (lossFraction > 0.03 || freezes > freezesBefore || (rttMs ?? 0) > 350) return 2;
  return 3;
}
