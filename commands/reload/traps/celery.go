package traps

import "strings"

// celery looks for a worker that a HUP would end: it executes itself again with the
// arguments it was started with, and "python -m celery" has lost the -m by then.
func (l *look) celery(argv []string) {
	if !l.command.hup || len(argv) == 0 {
		return
	}
	if strings.HasPrefix(argv[0], "[celeryd: ") {
		l.cannot("how Celery was started, because its process shows a title instead; make sure that it is by its console script and not by python -m celery")
		return
	}
	if module, _ := pythonRuns(argv); isPython(argv[0]) && (module == "celery" || strings.HasPrefix(module, "celery.")) {
		l.add(CeleryHUP, Refuse, "Celery was started as python -m celery, and a HUP ends it instead of reloading it: "+
			l.consumer.Name+" would stop. Start it by its console script (celery -A … worker), or reload it with a restart.")
	}
}
