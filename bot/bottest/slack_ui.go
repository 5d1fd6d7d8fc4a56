package bottest

import "net/http"

func (s *Slack) routeUI(*http.ServeMux) {}
