package logs

// meaning is what a field of a structured line says.
type meaning uint8

const (
	aTime meaning = iota + 1
	anAddr
	aForward
	aMethod
	aPath
	aRequest
	aStatus
	anAgent
	aMessage
	aCause
	aLogger
	aLevel
	aLine    // a whole line of another writer
	aStream  // what tells that the former is one
	aLogin   // what tells that the answer was 401
	aRefusal // what tells that it was 403
)

// writer is a piece of software whose fields belong together.
type writer uint8

const (
	anyone writer = iota
	caddy
	traefik
	ecs
)

// name is what the table knows of a field's name. Of fields of one writer with the same
// meaning the one of the highest rank counts.
type name struct {
	means  meaning
	writer writer
	rank   uint8
}

// names are the fields of the well-known writers, with the names of the objects they
// stand in before them. Sources:
//
//   - nginx: the variables of ngx_http_core_module and ngx_http_log_module, which log
//     formats written as JSON name their fields after
//   - gunicorn: the identifiers of its access_log_format setting
//   - Caddy: "How logging works", and caddyhttp's LoggableHTTPRequest
//   - Traefik: the list of available fields on its page "Logs & Access Logs"
//   - structlog: TimeStamper and EventRenamer; django-structlog's RequestMiddleware
//   - Python's logging and python-json-logger: the attributes of a LogRecord, and the
//     extra of django.utils.log.log_response and django.core.servers.basehttp
//   - Go's log/slog, zap and zerolog; logrus; pino and pino-http; winston; bunyan; monolog
//   - the Elastic Common Schema and OpenTelemetry's semantic conventions for HTTP
//   - Google Cloud's LogEntry and HttpRequest
//   - Docker's json-file driver, whose "log" is a line of the container
var names = map[string]name{
	"time": {means: aTime}, "timestamp": {means: aTime}, "ts": {means: aTime}, "@timestamp": {means: aTime},
	"asctime": {means: aTime}, "datetime": {means: aTime}, "t": {means: aTime}, "date_time": {means: aTime},
	"time_iso8601": {means: aTime}, "time_local": {means: aTime}, "msec": {means: aTime}, "timestamp_iso8601": {means: aTime},
	"StartUTC": {aTime, traefik, 2}, "StartLocal": {aTime, traefik, 1},

	"remote_addr": {means: anAddr}, "remote_ip": {means: anAddr}, "remote_address": {means: anAddr}, "remote_host": {means: anAddr},
	"remoteAddr": {means: anAddr}, "remoteAddress": {means: anAddr}, "remoteIp": {means: anAddr}, "REMOTE_ADDR": {means: anAddr},
	"client_ip": {means: anAddr}, "client_addr": {means: anAddr}, "clientIp": {means: anAddr}, "clientip": {means: anAddr}, "client": {means: anAddr},
	"ip": {means: anAddr}, "ip_address": {means: anAddr}, "addr": {means: anAddr}, "remote": {means: anAddr},
	"request.client_ip": {anAddr, caddy, 2}, "request.remote_ip": {anAddr, caddy, 1}, "request.remote_addr": {anAddr, caddy, 0},
	"ClientHost": {anAddr, traefik, 1}, "ClientAddr": {anAddr, traefik, 0},
	"client.ip": {anAddr, ecs, 3}, "client.address": {anAddr, ecs, 2}, "source.ip": {anAddr, ecs, 1}, "source.address": {anAddr, ecs, 0},
	"req.remoteAddress": {means: anAddr}, "httpRequest.remoteIp": {means: anAddr}, "network.client.ip": {means: anAddr},

	"http_x_forwarded_for": {means: aForward}, "x_forwarded_for": {means: aForward}, "xff": {means: aForward},
	"forwarded_for": {means: aForward}, "X-Forwarded-For": {means: aForward}, "x-forwarded-for": {means: aForward},
	"request.headers.X-Forwarded-For": {means: aForward}, "request_X-Forwarded-For": {means: aForward},
	"req.headers.x-forwarded-for": {means: aForward}, "headers.x-forwarded-for": {means: aForward},

	"method": {means: aMethod}, "request_method": {means: aMethod}, "http_method": {means: aMethod}, "verb": {means: aMethod},
	"request.method": {means: aMethod}, "RequestMethod": {means: aMethod}, "req.method": {means: aMethod},
	"httpRequest.requestMethod": {means: aMethod}, "http.request.method": {means: aMethod}, "http.method": {means: aMethod},

	"path": {means: aPath}, "request_path": {means: aPath}, "uri": {means: aPath}, "request_uri": {means: aPath}, "url": {means: aPath},
	"requestUri": {means: aPath}, "request_url": {means: aPath}, "request.uri": {means: aPath}, "request.path": {means: aPath},
	"RequestPath": {means: aPath}, "req.url": {means: aPath}, "httpRequest.requestUrl": {means: aPath},
	"url.original": {aPath, ecs, 1}, "url.path": {aPath, ecs, 0}, "url.full": {aPath, ecs, 0}, "http.target": {means: aPath}, "http.url": {means: aPath},

	"request": {means: aRequest}, "request_line": {means: aRequest}, "requestLine": {means: aRequest},

	"status": {means: aStatus}, "status_code": {means: aStatus}, "statusCode": {means: aStatus}, "response_code": {means: aStatus},
	"responseCode": {means: aStatus}, "response_status": {means: aStatus}, "http_status": {means: aStatus}, "code": {means: aStatus},
	"DownstreamStatus": {aStatus, traefik, 1}, "OriginStatus": {aStatus, traefik, 0},
	"res.statusCode": {means: aStatus}, "response.status": {means: aStatus}, "response.status_code": {means: aStatus},
	"httpRequest.status": {means: aStatus}, "http.response.status_code": {means: aStatus}, "http.status_code": {means: aStatus},

	"agent": {means: anAgent}, "user_agent": {means: anAgent}, "userAgent": {means: anAgent}, "http_user_agent": {means: anAgent}, "ua": {means: anAgent},
	"request.headers.User-Agent": {means: anAgent}, "request_User-Agent": {means: anAgent}, "req.headers.user-agent": {means: anAgent},
	"headers.user-agent": {means: anAgent}, "httpRequest.userAgent": {means: anAgent}, "user_agent.original": {means: anAgent}, "http.user_agent": {means: anAgent},

	"message": {means: aMessage}, "msg": {means: aMessage}, "event": {means: aMessage}, "textPayload": {means: aMessage}, "@message": {means: aMessage},
	"jsonPayload.message": {means: aMessage},
	"error":               {means: aCause}, "err": {means: aCause}, "reason": {means: aCause}, "detail": {means: aCause},
	"error.message": {means: aCause}, "err.message": {means: aCause},

	"logger": {means: aLogger}, "logger_name": {means: aLogger}, "loggerName": {means: aLogger}, "name": {means: aLogger}, "channel": {means: aLogger},
	"log.logger": {means: aLogger},
	"log":        {means: aLine}, "stream": {means: aStream},
}

// groupNames are the named groups a pattern of the catalogue may have.
var groupNames = map[string]meaning{
	"time": aTime, "addr": anAddr, "forwarded": aForward, "method": aMethod, "path": aPath, "request": aRequest,
	"status": aStatus, "agent": anAgent, "message": aMessage, "logger": aLogger, "level": aLevel,
	"unauthorized": aLogin, "forbidden": aRefusal,
}
