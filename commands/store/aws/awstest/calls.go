package awstest

import (
	"slices"
	"strings"
)

// find looks a secret up by name, ARN, or ARN without its last hyphen and six
// characters.
func (s *Server) find(id string) (*held, error) {
	for _, h := range s.secrets {
		if id == h.name || id == h.arn || strings.HasPrefix(id, "arn:") && h.arn[:len(h.arn)-7] == id {
			return h, nil
		}
	}
	return nil, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

func (s *Server) do(operation string, in input) (any, error) {
	h, err := s.find(in.SecretID)
	if err != nil {
		return nil, err
	}
	if h.deleted && operation != "DescribeSecret" {
		return nil, refuse("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")
	}
	switch operation {
	case "GetSecretValue":
		return h.get(in)
	case "DescribeSecret":
		return h.describe(), nil
	case "PutSecretValue":
		return s.put(h, in)
	case "UpdateSecretVersionStage":
		return map[string]any{"ARN": h.arn, "Name": h.name}, h.update(in)
	}
	return nil, refuse("UnknownOperationException", "the stand-in has no %s", operation)
}

func (h *held) get(in input) (any, error) {
	id := in.VersionID
	if stage := in.VersionStage; stage != "" || id == "" {
		if stage == "" {
			stage = "AWSCURRENT"
		}
		at := h.stages[stage]
		if at == "" || id != "" && id != at {
			return nil, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: %s", stage)
		}
		id = at
	}
	v := h.versions[id]
	if v == nil || v.text == nil && v.binary == nil {
		return nil, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: %s", id)
	}
	out := map[string]any{"ARN": h.arn, "Name": h.name, "VersionId": id, "VersionStages": h.of(id), "CreatedDate": float64(v.created.Unix())}
	if v.text != nil {
		out["SecretString"] = *v.text
	} else {
		out["SecretBinary"] = *v.binary
	}
	return out, nil
}

func (h *held) describe() any {
	versions := map[string][]string{} // those without labels are not listed
	for _, id := range h.stages {
		versions[id] = h.of(id)
	}
	out := map[string]any{"ARN": h.arn, "Name": h.name, "RotationEnabled": h.rotation, "VersionIdsToStages": versions}
	if h.deleted {
		out["DeletedDate"] = float64(1_700_000_000)
	}
	return out
}

func (s *Server) put(h *held, in input) (any, error) {
	switch {
	case len(in.ClientRequestToken) < 32 || len(in.ClientRequestToken) > 64:
		return nil, refuse("InvalidParameterException", "ClientRequestToken must be 32-64 characters long.")
	case (in.SecretString == nil) == (in.SecretBinary == nil):
		return nil, refuse("InvalidRequestException", "You must provide either SecretString or SecretBinary.")
	case in.SecretBinary != nil:
		return nil, refuse("InvalidRequestException", "the stand-in takes no SecretBinary")
	case *in.SecretString == "" || len(*in.SecretString) > MaxBytes:
		// AWS's validation is known to quote what it refuses.
		return nil, refuse("ValidationException", "Value '%s' at 'secretString' failed to satisfy constraint: Member must have length less than or equal to 65536", *in.SecretString)
	case in.VersionStages != nil && len(in.VersionStages) == 0:
		return nil, refuse("InvalidParameterException", "VersionStages must have at least one item")
	}
	id := in.ClientRequestToken
	if v := h.versions[id]; v != nil && v.text != nil {
		if *v.text != *in.SecretString {
			return nil, refuse("ResourceExistsException", "You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.", id, h.arn)
		}
		return map[string]any{"ARN": h.arn, "Name": h.name, "VersionId": id, "VersionStages": h.of(id)}, nil
	}
	stages := in.VersionStages
	if stages == nil || h.stages["AWSCURRENT"] == "" {
		stages = append(slices.Clone(stages), "AWSCURRENT")
	}
	for _, stage := range stages {
		if err := h.room(stage); err != nil {
			return nil, err
		}
	}
	h.prune(s.cfg.Now())
	if len(h.versions) >= MaxVersions && h.versions[id] == nil {
		return nil, refuse("LimitExceededException", "You've exceeded the quota of versions for the secret.")
	}
	h.versions[id] = &version{text: in.SecretString, created: s.cfg.Now()}
	for _, stage := range stages {
		h.attach(stage, id)
	}
	return map[string]any{"ARN": h.arn, "Name": h.name, "VersionId": id, "VersionStages": h.of(id)}, nil
}

// room checks a label that may be a new one.
func (h *held) room(stage string) error {
	if stage == "" || len(stage) > 256 {
		return refuse("InvalidParameterException", "a staging label has 1 to 256 characters")
	}
	if h.stages[stage] == "" && len(h.stages) >= MaxStages {
		return refuse("LimitExceededException", "You've exceeded the quota of staging labels for the secret.")
	}
	return nil
}

func (h *held) update(in input) error {
	stage, to, from := in.VersionStage, in.MoveToVersionID, in.RemoveFromVersionID
	if err := h.room(stage); err != nil {
		return err
	}
	at := h.stages[stage]
	switch {
	case to == "" && from == "":
		return refuse("InvalidParameterException", "You must specify MoveToVersionID or RemoveFromVersionId.")
	case to != "" && h.versions[to] == nil, from != "" && h.versions[from] == nil:
		return refuse("ResourceNotFoundException", "Secrets Manager can't find the specified version.")
	case at != "" && from == "":
		return refuse("InvalidParameterException", "The parameter RemoveFromVersionId can't be empty. Staging label %s is currently attached to version %s, so you must explicitly reference that version in RemoveFromVersionId.", stage, at)
	case from != "" && at != from:
		return refuse("InvalidParameterException", "When you move staging label %s, RemoveFromVersionId must be set to the version that currently has it.", stage)
	case to == "" && stage == "AWSCURRENT":
		return refuse("InvalidParameterException", "You can't remove staging label AWSCURRENT.")
	case to == "":
		delete(h.stages, stage)
		return nil
	}
	h.attach(stage, to)
	return nil
}
