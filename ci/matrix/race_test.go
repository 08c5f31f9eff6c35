//go:build race

package matrix

// underRace tells that guests need not run once more: the race detector does not see into them.
const underRace = true
