// Command standin is what the suite expects inside the images that it would pull from registries: a web server that
// calls itself nginx or httpd, the two applets that Debian's busybox leaves out, and a program that tells its
// effective uid. Which of them it is, argv[0] says.
package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	name := filepath.Base(os.Args[0])
	if strings.HasPrefix(os.Args[0], "nginx: ") {
		serve()
	}
	switch name {
	case "nginx":
		nginx()
	case "httpd":
		fmt.Fprintln(os.Stderr, "Command line: 'httpd -D FOREGROUND'")
		serve()
	case "nnp":
		fmt.Printf("Effective uid: %d\n", os.Geteuid())
	case "ipcs":
		fail(ipcs())
	case "pgrep":
		fail(pgrep(os.Args[1]))
	default:
		fail(fmt.Errorf("standin: nothing is called %q", name))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// nginx leaves its pid where the suite looks, and takes the title of nginx's master process by another exec.
func nginx() {
	fail(os.MkdirAll("/var/run", 0o755))
	fail(os.WriteFile("/var/run/nginx.pid", []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644))
	fail(syscall.Exec("/bin/nginx", []string{"nginx: master process nginx"}, os.Environ()))
}

func serve() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "80"
	}
	handler := http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) { fmt.Fprintln(out, "It works!") })
	fail(http.ListenAndServe(":"+port, handler))
}

// ipcs shows the shared memory segments of its IPC namespace.
func ipcs() error {
	file, err := os.Open("/proc/sysvipc/shm")
	if err != nil {
		return err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if columns := strings.Fields(lines.Text()); len(columns) > 3 {
			fmt.Println(strings.Join(columns[:4], " "))
		}
	}
	return nil
}

// pgrep shows the pids of the processes whose name holds the given one.
func pgrep(wanted string) error {
	found, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return err
	}
	for _, path := range found {
		comm, err := os.ReadFile(path)
		pid := filepath.Base(filepath.Dir(path))
		if err == nil && strings.Contains(string(comm), wanted) && pid != strconv.Itoa(os.Getpid()) {
			fmt.Println(pid)
		}
	}
	return nil
}
