#!/bin/sh
# `make node`: an Orthanc, a node beside it, and a phantom film. Ctrl-C ends both; what they keep lies in node-demo/.
# Orthanc answers this machine alone: its DICOM port stays shut, and the node asks for films and brings results over HTTP.
set -eu
plugin=/usr/share/orthanc/plugins/libOrthancDicomWeb.so
orthanc=$(command -v Orthanc || echo /usr/sbin/Orthanc)
if ! [ -x "$orthanc" ] || ! [ -e $plugin ]; then
  echo "no Orthanc with its DICOMweb plugin here: install Debian's orthanc-dicomweb, or see docs/node.md"
  exit 0
fi
python=$1
folder=$(pwd)/node-demo
rm -rf "$folder" && mkdir "$folder" && cd "$folder"  # it begins anew each time
cat > orthanc.json <<END
{"HttpPort": 8142, "RemoteAccessAllowed": false, "DicomServerEnabled": false, "AuthenticationEnabled": false,
 "StorageDirectory": "$folder/archive", "IndexDirectory": "$folder/archive",
 "Plugins": ["$plugin"], "DicomWeb": {"Enable": true}}
END
cat > NODE.toml <<END
spool = "spool"
[http]
port = 8143
[[catch_up]]
title = "ORTHANC"
orthanc = "http://127.0.0.1:8142"
every_seconds = 1
[[target]]
name = "orthanc"
url = "http://127.0.0.1:8142/dicom-web"
[[rule]]
to = ["orthanc"]
results = ["sr", "gsps", "sc"]
END
wait_for() {
  for _ in $(seq 300); do eval "$1" && return; sleep 0.2; done
  echo "$2; its log is in $folder" && exit 1
}
"$orthanc" orthanc.json > orthanc.log 2>&1 & archive=$!
"$python" -m hilum node NODE.toml > node.log 2>&1 & node=$!
trap 'kill $node $archive 2> /dev/null; wait' EXIT INT TERM
wait_for 'grep -q "has started" orthanc.log' "Orthanc does not start"
wait_for 'curl -fs http://127.0.0.1:8143/readyz > /dev/null' "the node does not start"
sleep 2  # it has to see once what there is, to know what is new
"$python" -m hilum data phantom films --layout rsna --count 4 --size 1024 > /dev/null
film=$(find films -name '*.dcm' | head -n 1)
instance=$(curl -fs http://127.0.0.1:8142/instances --data-binary "@$film" | sed -n 's/.*"ID" : "\([^"]*\)".*/\1/p')
study=$(curl -fs "http://127.0.0.1:8142/instances/$instance/study" | sed -n 's/^   "ID" : "\([^"]*\)".*/\1/p')
wait_for 'grep -q "all results sent" node.log' "no result came"
echo "A phantom film went to Orthanc, the node judged it and stored report, presentation state and picture in its study:"
echo "  http://127.0.0.1:8142/app/explorer.html#study?uuid=$study"
echo "  http://127.0.0.1:8143/metrics   what the node has done;   $folder/node.log   what it said"
echo "Send more: curl http://127.0.0.1:8142/instances --data-binary @FILM.dcm   Ctrl-C ends both."
[ "${2:-}" = once ] || wait $node
