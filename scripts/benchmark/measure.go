package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"
)

// sample is the cost of one process.
type sample struct {
	wall, cpu time.Duration
	peak      int64 // bytes; 0 if the system does not report it
}

// contender is a command to measure.
type contender struct {
	name    string
	prepare func() error // runs before each round and is not measured; may be nil
	command []string
	samples []sample
}

// compare runs each contender once without counting, and then all in turn for a number of rounds.
func compare(ctx context.Context, rounds int, contenders ...*contender) error {
	for round := range rounds + 1 {
		for _, c := range contenders {
			s, err := c.runOnce(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if round > 0 {
				c.samples = append(c.samples, s)
			}
		}
	}
	return nil
}

func (c *contender) runOnce(ctx context.Context) (sample, error) {
	if c.prepare != nil {
		if err := c.prepare(); err != nil {
			return sample{}, err
		}
	}
	command := exec.CommandContext(ctx, c.command[0], c.command[1:]...)
	command.Stderr = os.Stderr
	begun := time.Now()
	if err := command.Run(); err != nil {
		return sample{}, err
	}
	state := command.ProcessState
	return sample{time.Since(begun), state.UserTime() + state.SystemTime(), peakBytes(state)}, nil
}

// median returns the median of one figure over the rounds.
func (c *contender) median(figure func(sample) float64) float64 {
	values := make([]float64, len(c.samples))
	for i, s := range c.samples {
		values[i] = figure(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func wall(s sample) float64 { return s.wall.Seconds() }
func cpu(s sample) float64  { return s.cpu.Seconds() }
func peak(s sample) float64 { return float64(s.peak) / (1 << 20) }

// ratio returns the median of the ratios of each round. A drift of the machine does not change it.
func (c *contender) ratio(to *contender) float64 {
	values := make([]float64, len(c.samples))
	for i := range c.samples {
		values[i] = wall(c.samples[i]) / wall(to.samples[i])
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func printAll(contenders []*contender) {
	for _, c := range contenders {
		c.print()
	}
}

func (c *contender) print() {
	fmt.Printf("  %-52s %7.2f s wall %7.2f s cpu %6.0f MiB peak\n", c.name, c.median(wall), c.median(cpu),
		c.median(peak))
}
