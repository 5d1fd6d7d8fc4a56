package estatetest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

const (
	healthPath = "/api/healthcheck/"
	proofPath  = "/rekey/proof"
	// maxBody bounds what is read of a request.
	maxBody = 1 << 20
	// keepIdle is for how long clients keep a connection that nothing is asked over.
	keepIdle = 30 * time.Second
)

// service is the inside of a service process.
type service struct {
	spec    spec
	workers []*worker
	logs    *logs
	client  *http.Client // towards api
}

// worker has a snapshot of the settings, as a gunicorn or Node.js worker has.
type worker struct {
	number   int // from 1
	name     string
	settings atomic.Pointer[map[string]string]
}

func newService(s spec) (*service, error) {
	svc := &service{spec: s}
	for n := 1; n <= s.Workers; n++ {
		w := &worker{number: n, name: fmt.Sprintf("%s-%d", s.Service, n)}
		if err := w.load(s); err != nil {
			return nil, err
		}
		svc.workers = append(svc.workers, w)
	}
	svc.client = &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: keepIdle},
		Timeout:   30 * time.Second,
	}
	if s.Service == Web {
		return svc, nil
	}
	var err error
	svc.logs, err = openLogs(s.Dir)
	return svc, err
}

func (w *worker) load(s spec) error {
	env, err := readSettings(s)
	if err != nil {
		return fmt.Errorf("%s: reading settings: %w", w.name, err)
	}
	w.settings.Store(&env)
	return nil
}

func (w *worker) setting(name string) string { return (*w.settings.Load())[name] }

// reload changes the workers one after the other, in an order of chance, as their
// faults allow.
func (svc *service) reload() {
	f := readFaults(svc.spec)
	switch {
	case f.DieOnReload:
		os.Exit(1)
	case f.IgnoreReload:
		return
	}
	step := time.Duration(0)
	if n := len(svc.workers); n > 1 {
		step = (svc.spec.To - svc.spec.From) / time.Duration(n-1)
	}
	for turn, i := range rand.Perm(len(svc.workers)) {
		w := svc.workers[i]
		time.AfterFunc(svc.spec.From+time.Duration(turn)*step, func() {
			if readFaults(svc.spec).StuckWorker == w.number {
				return
			}
			// A worker that cannot read its settings goes on with those it has.
			if err := w.load(svc.spec); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		})
	}
}

// workerKey carries the worker a request was given to.
type workerKey struct{}

func (svc *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+healthPath, func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, `{"status":"ok"}`) })
	mux.HandleFunc("GET "+proofPath, svc.proof)
	if svc.spec.Service == API {
		mux.HandleFunc("POST /api/revalidate/", svc.accept("REVALIDATE_SECRET", mac))
		mux.HandleFunc("POST /api/track-view/", svc.accept("ANALYTICS_SECRET", mac))
	} else {
		mux.HandleFunc("POST /publish", svc.call("REVALIDATE_SECRET", mac, "/api/revalidate/", `{"slugs":["post-%d"]}`))
		mux.HandleFunc("POST /view", svc.call("ANALYTICS_SECRET", mac, "/api/track-view/", `{"slug":"post-%d"}`))
	}
	for name, sign := range map[string]scheme{"hmac": mac, "django": django} {
		if svc.spec.Service == API {
			mux.HandleFunc("POST /accept/"+name+"/{variable}", func(w http.ResponseWriter, r *http.Request) {
				svc.accept(r.PathValue("variable"), sign)(w, r)
			})
		}
		mux.HandleFunc("POST /sign/"+name+"/{variable}", func(w http.ResponseWriter, r *http.Request) {
			variable := r.PathValue("variable")
			svc.call(variable, sign, "/accept/"+name+"/"+variable, `{"n":%d}`)(w, r)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		worker := svc.workers[rand.IntN(len(svc.workers))]
		if !svc.spec.Hide {
			w.Header().Set("X-Rekey-Worker", worker.name)
		}
		r = r.WithContext(context.WithValue(r.Context(), workerKey{}, worker))
		seen := &recorder{ResponseWriter: w, status: http.StatusOK}
		if readFaults(svc.spec).Answer500 {
			answer(seen, http.StatusInternalServerError, "<h1>Server Error (500)</h1>")
		} else {
			mux.ServeHTTP(seen, r)
		}
		if svc.logs != nil {
			svc.logs.access(r, seen.status, seen.size)
		}
	})
}

// workerOf answers the worker that handler gave every request.
func workerOf(r *http.Request) *worker {
	w, _ := r.Context().Value(workerKey{}).(*worker)
	return w
}

// proof answers a challenge; see secret.Challenge.
func (svc *service) proof(w http.ResponseWriter, r *http.Request) {
	worker := workerOf(r)
	nonce, value := r.URL.Query().Get("nonce"), worker.setting(r.URL.Query().Get("variable"))
	if nonce == "" || len(nonce) > 200 || value == "" {
		answer(w, http.StatusBadRequest, `{"error":"a nonce and the name of a variable are required"}`)
		return
	}
	said := map[string]string{"proof": mac(value, []byte("rekey-proof-v1\n"+nonce))}
	if !svc.spec.Hide {
		said["worker"] = worker.name
	}
	body, err := json.Marshal(said)
	if err != nil {
		answer(w, http.StatusInternalServerError, err.Error())
		return
	}
	answer(w, http.StatusOK, string(body))
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

// recorder remembers what was answered, for the access log.
type recorder struct {
	http.ResponseWriter
	status, size int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	n, err := r.ResponseWriter.Write(p)
	r.size += n
	return n, err
}

func shutdown(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience/2)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return fmt.Errorf("shutting down: %w", err)
	}
	return nil
}
