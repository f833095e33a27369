"""`forgediag assets systemd`, `windows`, `compose`, `kubernetes`: what keeps the daemon running."""

from __future__ import annotations

from collections.abc import Mapping

UNIT = """\
# forgediag as a systemd service: copy to /etc/systemd/system/, then
#   systemctl daemon-reload && systemctl enable --now forgediag
# It expects forgediag in /opt/forgediag (python3 -m venv /opt/forgediag, then install it there) and reads
# /etc/forgediag.toml. To see the files and the process of a Forge that runs as another user, let it run as that user:
# replace DynamicUser=yes by User=THAT_USER.
[Unit]
Description=Diagnostics and memory profiling for Stable Diffusion WebUI Forge
After=network.target

[Service]
Type=notify
NotifyAccess=main
WatchdogSec=60
ExecStart=/opt/forgediag/bin/forgediag --config /etc/forgediag.toml run
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=5
Environment=FORGEDIAG_STATE_DIR=%S/forgediag
StateDirectory=forgediag

# A background task: Forge comes first.
Nice=10
IOSchedulingClass=idle
MemoryMax=512M
TasksMax=64

# It reads; it writes nothing but its state. The card's devices stay visible: NVML needs them.
DynamicUser=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
UMask=0077

[Install]
WantedBy=multi-user.target
"""

TASK = r"""# forgediag as a scheduled task of the user who runs Forge, from each log-on on. In PowerShell:
#   .\forgediag-task.ps1 -Program C:\forgediag\Scripts\forgediag.exe -Config C:\forgediag\forgediag.toml
#   .\forgediag-task.ps1 -Remove
# A task and not a service: it must see the files and the process of a Forge that this user started.
param(
    [string]$Program = "C:\forgediag\Scripts\forgediag.exe",
    [string]$Config = "C:\forgediag\forgediag.toml",
    [switch]$Remove
)
$ErrorActionPreference = "Stop"
$Name = "forgediag"

if ($Remove) {
    Stop-ScheduledTask -TaskName $Name -ErrorAction SilentlyContinue
    Unregister-ScheduledTask -TaskName $Name -Confirm:$false
    return
}
if (-not (Test-Path $Program)) { throw "there is no $Program; name it with -Program" }
if (-not (Test-Path $Config)) { throw "there is no $Config; name it with -Config" }

$Action = New-ScheduledTaskAction -Execute $Program -Argument "--config `"$Config`" run"
$Trigger = New-ScheduledTaskTrigger -AtLogOn -User "$env:USERDOMAIN\$env:USERNAME"
$Settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries `
    -ExecutionTimeLimit ([TimeSpan]::Zero) -RestartCount 10 -RestartInterval (New-TimeSpan -Minutes 1) `
    -MultipleInstances IgnoreNew -Priority 7
Register-ScheduledTask -TaskName $Name -Action $Action -Trigger $Trigger -Settings $Settings -Force | Out-Null
Start-ScheduledTask -TaskName $Name
Write-Output "forgediag runs; http://127.0.0.1:9836/ tells how it is"
"""

DOCKERFILE = """\
# Put forgediag's wheel beside this file (python -m build --wheel), then: docker build -t forgediag .
FROM python:3.12-slim
COPY forgediag-*.whl /tmp/
RUN pip install --no-cache-dir /tmp/forgediag-*.whl && rm /tmp/forgediag-*.whl
ENV PYTHONDONTWRITEBYTECODE=1 FORGEDIAG_STATE_DIR=/state FORGEDIAG_LISTEN=0.0.0.0:9836
# What `utility` mounts is NVML: no CUDA is needed.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=utility
USER 65534:65534
EXPOSE 9836
ENTRYPOINT ["forgediag"]
CMD ["--config", "/etc/forgediag/forgediag.toml", "run"]
"""

CONFIG = """\
# A Forge in a container: how it is reached from here. docs/forgediag.toml in the sources lists every key.
allowed_hosts = ["forgediag"]  # the name other containers ask it by; addresses and localhost are always answered
[[forge]]
name = "forge"
url = "http://{host}:7860"
"""

HEALTHY = "import urllib.request as u; u.urlopen('http://127.0.0.1:9836/healthz', timeout=3)"

COMPOSE = f"""\
# docker compose up -d --build; needs the NVIDIA Container Toolkit.
# To see Forge's process and its files too: pid: host, and the models mounted read-only where Forge has them.
services:
  forgediag:
    build: .
    restart: unless-stopped
    user: "65534:65534"
    read_only: true
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    mem_limit: 512m
    pids_limit: 64
    ports: ["127.0.0.1:9836:9836"]
    extra_hosts: ["host.docker.internal:host-gateway"]
    tmpfs: ["/tmp", "/state:uid=65534,gid=65534,mode=0700"]
    volumes:
      - ./forgediag.toml:/etc/forgediag/forgediag.toml:ro
    healthcheck:
      test: ["CMD", "python", "-c", "{HEALTHY}"]
      interval: 30s
      timeout: 5s
      start_period: 10s
    deploy:
      resources:
        reservations:
          devices:
            - driver: nvidia
              count: all
              capabilities: [utility]
"""

KUBERNETES = """\
# kubectl apply -f forgediag.yaml: one forgediag on each node with an NVIDIA card.
# Needs the runtime class `nvidia` (NVIDIA GPU Operator or device plug-in). No GPU is taken from Forge: NVML is enough.
apiVersion: v1
kind: ConfigMap
metadata:
  name: forgediag
  labels: {app.kubernetes.io/name: forgediag}
data:
  forgediag.toml: |
    # docs/forgediag.toml in the sources lists every key. `forge = []` watches the cards alone.
    allowed_hosts = ["forgediag"]  # the Service's name; addresses are always answered
    [[forge]]
    name = "forge"
    url = "http://forge:7860"
---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: forgediag
  labels: {app.kubernetes.io/name: forgediag}
spec:
  selector:
    matchLabels: {app.kubernetes.io/name: forgediag}
  template:
    metadata:
      labels: {app.kubernetes.io/name: forgediag}
    spec:
      runtimeClassName: nvidia
      nodeSelector: {nvidia.com/gpu.present: "true"}
      tolerations:
        - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
      automountServiceAccountToken: false
      securityContext:
        runAsNonRoot: true
        runAsUser: 65534
        runAsGroup: 65534
        fsGroup: 65534
        seccompProfile: {type: RuntimeDefault}
      containers:
        - name: forgediag
          image: forgediag:latest
          args: ["--config", "/etc/forgediag/forgediag.toml", "run"]
          ports:
            - {name: metrics, containerPort: 9836}
          livenessProbe:
            httpGet: {path: /healthz, port: metrics}
            periodSeconds: 20
            timeoutSeconds: 5
          readinessProbe:
            httpGet: {path: /readyz, port: metrics}
            periodSeconds: 10
            timeoutSeconds: 5
          resources:
            requests: {cpu: 50m, memory: 64Mi}
            limits: {memory: 512Mi}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          volumeMounts:
            - {name: config, mountPath: /etc/forgediag, readOnly: true}
            - {name: state, mountPath: /state}
            - {name: tmp, mountPath: /tmp}
      volumes:
        - name: config
          configMap: {name: forgediag}
        - name: state
          emptyDir: {sizeLimit: 64Mi}
        - name: tmp
          emptyDir: {sizeLimit: 16Mi}
---
apiVersion: v1
kind: Service
metadata:
  name: forgediag
  labels: {app.kubernetes.io/name: forgediag}
spec:
  clusterIP: None
  selector: {app.kubernetes.io/name: forgediag}
  ports:
    - {name: metrics, port: 9836, targetPort: metrics}
"""

MONITOR = """\
# For the Prometheus Operator. The job is called forgediag, as the rules want it.
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: forgediag
  labels: {app.kubernetes.io/name: forgediag}
spec:
  selector:
    matchLabels: {app.kubernetes.io/name: forgediag}
  jobLabel: app.kubernetes.io/name
  endpoints:
    - port: metrics
      interval: 15s
"""

SERVICES: Mapping[str, Mapping[str, str]] = {
    "systemd": {"forgediag.service": UNIT},
    "windows": {"forgediag-task.ps1": TASK},
    "compose": {
        "Dockerfile": DOCKERFILE,
        "compose.yaml": COMPOSE,
        "forgediag.toml": CONFIG.format(host="host.docker.internal"),
    },
    "kubernetes": {"Dockerfile": DOCKERFILE, "forgediag.yaml": KUBERNETES, "servicemonitor.yaml": MONITOR},
}
"""Kind of assets, and its files."""
