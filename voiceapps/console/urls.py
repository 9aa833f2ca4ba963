"""The routes of the console's own pages, before those of the theme."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from voiceapps.console.pages import call

app_name = "console"
urlpatterns = [
    path("calls/<str:call_id>/", admin.site.admin_view(call.call), name="call"),
    path("calls/<str:call_id>/pcap", admin.site.admin_view(call.capture), name="call_pcap"),
    path("calls/<str:call_id>/recordings/<str:recording_id>", admin.site.admin_view(call.recording), name="recording"),
]
