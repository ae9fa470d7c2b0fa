// go_http_plain.go - Go's net/http, for http_compare: the same answers as skua_http_plain.
//
// Options: --port N (0 = any), --tls CERT KEY. Prints "port N" when it listens; ends on SIGTERM.
// HTTP/2 comes with TLS, and without it to who begins with it.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	port, cert, key := "0", "", ""
	for i := 1; i < len(os.Args); i++ {
		switch {
		case os.Args[i] == "--port" && i+1 < len(os.Args):
			port = os.Args[i+1]
		case os.Args[i] == "--tls" && i+2 < len(os.Args):
			cert, key = os.Args[i+1], os.Args[i+2]
		}
	}
	hello := []byte("Hello, World!")
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write(hello)
	})
	http.HandleFunc("/json", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		text, _ := json.Marshal(map[string]string{"message": "Hello, World!"})
		w.Write(text)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("port", listener.Addr().(*net.TCPAddr).Port)
	server := &http.Server{Protocols: new(http.Protocols), ErrorLog: log.New(io.Discard, "", 0)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	if cert != "" {
		err = server.ServeTLS(listener, cert, key)
	} else {
		err = server.Serve(listener)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
