package quic

import (
	"os"
	"path/filepath"
	"testing"
)

func TestQLogDirNamesFilesAfterConnections(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		info QLogInfo
		want string
	}{
		{QLogInfo{Server: true, ODCID: []byte{0xab, 1}}, "ab01_server.sqlog"},
		{QLogInfo{ODCID: []byte{0xab, 1}}, "ab01_client.sqlog"},
	} {
		w := QLogDir(dir, nil)(c.info)
		if w == nil {
			t.Fatalf("%+v: no writer", c.info)
		}
		w.Close()
		if _, err := os.Stat(filepath.Join(dir, c.want)); err != nil {
			t.Error(err)
		}
	}
}

func TestQLogDirReportsWhatCannotBeCreated(t *testing.T) {
	var reported error
	w := QLogDir(filepath.Join(t.TempDir(), "missing"), func(err error) { reported = err })(QLogInfo{})
	if w != nil || reported == nil {
		t.Errorf("writer %v, error %v", w, reported)
	}
	if QLogDir(filepath.Join(t.TempDir(), "missing"), nil)(QLogInfo{}) != nil {
		t.Error("a writer into a folder that is not there")
	}
}
