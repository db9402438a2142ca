package main

import "golang.org/x/sys/windows"

// diskOf returns the disk of a folder, and how many bytes this user may still write to it.
func diskOf(folder string) (disk string, free int64, err error) {
	name, err := windows.UTF16PtrFromString(folder)
	if err != nil {
		return "", 0, err
	}
	mount := make([]uint16, len(folder)+windows.MAX_PATH)
	if err := windows.GetVolumePathName(name, &mount[0], uint32(len(mount))); err != nil {
		return "", 0, err
	}
	var space uint64
	err = windows.GetDiskFreeSpaceEx(name, &space, nil, nil)
	return windows.UTF16ToString(mount), int64(min(space, 1<<62)), err
}
