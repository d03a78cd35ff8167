package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func main() {
	// The first socket that was passed: descriptor 3.
	listener, err := net.FileListener(os.NewFile(3, "http"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "no socket was passed:", err)
		os.Exit(1)
	}
	var open sync.WaitGroup
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, os.Getpid())
		}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				open.Add(1)
			case http.StateClosed, http.StateHijacked:
				open.Done()
			}
		},
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	// Ready, also to be asked to end.
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	if to, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET")); err == nil {
		to.Write([]byte("READY=1"))
		to.Close()
	}
	<-asked

	// Accept nothing any more, and answer who was accepted. Shutdown would close a new connection without an answer.
	listener.Close()
	<-served
	server.SetKeepAlivesEnabled(false)
	finished := make(chan struct{})
	go func() {
		open.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-time.After(20 * time.Second):
	}
}
