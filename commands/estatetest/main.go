package estatetest

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Main turns this process into a service of an estate, or into its reload command,
// where it was started as one, and then does not return. Otherwise it returns at
// once. Call it first thing in main or TestMain.
func Main() {
	if len(os.Args) == 3 && os.Args[1] == reloadArgument {
		if err := hangUp(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	told := os.Getenv(specVariable)
	if told == "" {
		return
	}
	if err := serve([]byte(told)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// hangUp is the reload command: SIGHUP to the process of a pid file.
func hangUp(file string) error {
	service := strings.TrimSuffix(filepath.Base(file), ".pid")
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%s is not running", service)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil || pid <= 1 {
		return fmt.Errorf("%s holds no process id", file)
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		return fmt.Errorf("%s cannot be told to reload: %w", service, err)
	}
	return nil
}

// serve runs one service until SIGTERM, or until whoever started it is gone.
func serve(told []byte) error {
	var s spec
	if err := json.Unmarshal(told, &s); err != nil {
		return fmt.Errorf("reading %s: %w", specVariable, err)
	}
	// Before the pid file invites anybody to send one.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM)

	svc, err := newService(s)
	if err != nil {
		return err
	}
	addr := s.Addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	// Clients dial connections that they then do not use at once. One that is closed just
	// when they do use it costs them a request, so it lives longer than they keep it.
	server := &http.Server{Handler: svc.handler(), ReadHeaderTimeout: 2 * keepIdle, ErrorLog: log.New(os.Stderr, "", log.LstdFlags)}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	if err := announce(s, l.Addr().String()); err != nil {
		return err
	}
	orphaned := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(orphaned)
	}()
	for {
		select {
		case err := <-failed:
			return err
		case <-orphaned:
			return nil
		case sig := <-signals:
			if sig == syscall.SIGHUP {
				svc.reload()
				continue
			}
			return shutdown(server)
		}
	}
}

// announce writes the pid and the address, each in one rename so that no half of it
// is ever read.
func announce(s spec, addr string) error {
	for name, text := range map[string]string{pidFile(s.Dir, s.Service): strconv.Itoa(os.Getpid()), addrFile(s.Dir, s.Service): addr} {
		if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
			return fmt.Errorf("announcing %s: %w", s.Service, err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			return fmt.Errorf("announcing %s: %w", s.Service, err)
		}
	}
	return nil
}
