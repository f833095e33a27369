SERVICES = {"systemd": {}, "windows": {}, "compose": {}, "kubernetes": {}}
