package cloudwatch

import (
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"

	"rekey/audit/logs"
)

// errNoGroup: there is no such log group.
var errNoGroup = errors.New("no such log group")

// deniedError is a call that AWS does not let rekey make.
type deniedError struct{ operation string }

func (d *deniedError) Error() string { return d.operation + " is denied" }

// code is AWS's name of an error; "" for others.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func throttled(err error) bool {
	switch code(err) {
	case "ThrottlingException", "TooManyRequestsException", "ServiceUnavailableException":
		return true
	}
	return false
}

// sentences say what AWS's errors mean. AWS's own words are not repeated.
var sentences = map[string]string{ //nolint:gosec // names of errors, no credentials
	"AccessDeniedException":               "AWS does not let rekey read the log group; allow logs:StartQuery, logs:GetQueryResults, logs:StopQuery and logs:DescribeLogGroups on it.",
	"LimitExceededException":              "As many queries are running in this account and region as AWS allows; ask again in a minute.",
	"ThrottlingException":                 "AWS went on limiting the rate; ask again in a minute.",
	"MalformedQueryException":             "AWS did not take the query; the window may lie outside of what the log group keeps.",
	"InvalidParameterException":           "AWS refused a parameter of the query; its log class may not allow Logs Insights.",
	"UnrecognizedClientException":         "AWS does not know the credentials; check the profile, or the role of this machine.",
	"InvalidClientTokenId":                "AWS does not know the credentials; check the profile, or the role of this machine.",
	"InvalidSignatureException":           "AWS does not accept the signature; the secret access key, the region or this machine's clock is wrong.",
	"ExpiredTokenException":               "The AWS credentials have expired; renew them.",
	"MissingAuthenticationTokenException": "AWS was asked without credentials; set a profile, or give this machine a role.",
	"ServiceUnavailableException":         "CloudWatch Logs is failing; ask again, or look at AWS's health page.",
	"InternalServerException":             "CloudWatch Logs is failing; ask again, or look at AWS's health page.",
}

// explain makes an error a sentence that says what to do. reached is the time of the last
// line that was read, zero for none.
func (s *Source) explain(err error, reached time.Time) error {
	if ok, said := logs.Ended("CloudWatch", err, reached); ok {
		return said
	}
	var (
		ended      *endedError
		unreadable *smithy.DeserializationError
		unreached  *url.Error
	)
	name := code(err)
	why := "CloudWatch Logs could not be read, for a reason that AWS did not tell; ask again."
	switch {
	case errors.Is(err, errNoGroup), name == "ResourceNotFoundException":
		why = "There is no log group " + s.cfg.Group + " in this account and region (" + s.cfg.AWS.Region + "); check both in the catalogue."
	case name != "":
		why = "AWS refused the query (" + name + ")."
		if says, ok := sentences[name]; ok {
			why = says
		}
	case errors.As(err, &ended) && ended.status == types.QueryStatusTimeout:
		why = "The query ran for longer than CloudWatch allows; ask for a shorter window."
	case errors.As(err, &ended) && ended.status == types.QueryStatusCancelled:
		why = "Somebody stopped the query in CloudWatch; ask again."
	case errors.As(err, &ended):
		why = "The query failed in CloudWatch; ask again, or look at AWS's health page."
	case errors.As(err, &unreadable):
		why = "What answered is not CloudWatch Logs; is a proxy in between?"
	case errors.As(err, &unreached):
		why = "CloudWatch Logs could not be reached; check the region, the endpoint and the network."
	case strings.Contains(err.Error(), "credentials"):
		why = "No AWS credentials were found; set a profile, or give this machine a role."
	}
	return &logs.Fault{Why: why} // the SDK's words are not for showing
}
