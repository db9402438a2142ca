//go:build !amd64 || purego

package codec

func gatherRotated(plane, src []byte, at int) { gatherRotatedGo(plane, src, at) }

func join2Rotated(into, low, high []byte) { join2RotatedGo(into, low, high) }
