package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
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
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, os.Getpid())
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	// Ready.
	if to, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET")); err == nil {
		to.Write([]byte("READY=1"))
		to.Close()
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	<-asked

	// Accept nothing any more, and finish. Shutdown alone may miss a connection that was accepted in that instant.
	listener.Close()
	<-served
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	server.Shutdown(ctx)
}
