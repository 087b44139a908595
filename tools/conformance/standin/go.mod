module standin

go 1.21
