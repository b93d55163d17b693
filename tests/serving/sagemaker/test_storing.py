"""An endpoint's files in S3: nothing else is deleted, and of a bucket that keeps versions all of them."""

import pytest

from okkhor.aws.calling import open_session
from okkhor.errors import InputError
from okkhor.serving.sagemaker.account import of_stack, role_arn
from okkhor.serving.sagemaker.storing import add_model, folders, remove, upload
from okkhor.serving.sagemaker.wanted import Store


@pytest.fixture
def store(aws) -> Store:
    return Store.of(aws.bucket, "letters")


def test_a_bucket_may_come_with_a_prefix():
    assert Store.of("mine", "letters").uri == "s3://mine/okkhor/endpoints/letters"
    assert Store.of("s3://mine/a/b/", "letters").uri == "s3://mine/a/b/letters"
    assert Store.at(Store.of("mine", "letters").uri) == Store.of("mine", "letters")


@pytest.mark.parametrize("versions", [False, True])
def test_all_of_an_endpoint_is_deleted_and_nothing_of_another(aws, store, tmp_path, versions):
    s3, session = aws.client("s3"), open_session()
    if versions:
        s3.put_bucket_versioning(Bucket=aws.bucket, VersioningConfiguration={"Status": "Enabled"})
    (tmp_path / "file").write_bytes(b"one")
    for key in ("archives/1/model.tar.gz", "archives/1/model.tar.gz", "archives/2/model.tar.gz", "captured/x"):
        assert upload(session, store, key, tmp_path / "file") == f"{store.uri}/{key}"
    neighbor = Store.of(aws.bucket, "letters-2")
    upload(session, neighbor, "captured/x", tmp_path / "file")
    assert folders(session, store, "archives") == ["1", "2"]
    assert remove(session, store, "archives/1") == 1
    assert folders(session, store, "archives") == ["2"]
    assert remove(session, store) == 2
    left = s3.list_object_versions(Bucket=aws.bucket)
    assert [one["Key"] for one in left["Versions"]] == ["okkhor/endpoints/letters-2/captured/x"]
    assert left.get("DeleteMarkers", []) == []
    assert remove(session, store) == 0


def test_more_objects_than_one_request_deletes(aws, store, monkeypatch):
    monkeypatch.setattr("okkhor.serving.sagemaker.storing.AT_ONCE", 3)
    s3 = aws.client("s3")
    for i in range(7):
        s3.put_object(Bucket=aws.bucket, Key=f"{store.prefix}/captured/{i}", Body=b"")
    assert remove(open_session(), store) == 7
    assert s3.list_objects_v2(Bucket=aws.bucket)["KeyCount"] == 0


def test_a_model_s_name_keeps_what_it_has(aws, store, tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    assert add_model(open_session(), store, "letters", tmp_path / "a")
    assert not add_model(open_session(), store, "letters", tmp_path / "a")
    with pytest.raises(InputError, match="choose a new NAME=RUN"):
        add_model(open_session(), store, "letters", tmp_path / "b")


STACK = """
Resources: {Bucket: {Type: AWS::S3::Bucket, Properties: {BucketName: of-the-stack}}}
Outputs:
  BucketName: {Value: !Ref Bucket}
"""


def test_a_role_by_its_name_and_what_a_stack_says(aws):
    session = open_session()
    assert role_arn(session, aws.role.rpartition("/")[2]) == aws.role == role_arn(session, aws.role)
    with pytest.raises(InputError, match="--role=nobody: no such role; expected its name or ARN"):
        role_arn(session, "nobody")
    stacks = aws.client("cloudformation")
    stacks.create_stack(StackName="half", TemplateBody=STACK)
    with pytest.raises(InputError, match="--stack=half: has no output HostingRoleArn"):
        of_stack(session, "half")
    whole = STACK + "  HostingRoleArn: {Value: 'arn:aws:iam::123456789012:role/hosting'}\n"
    stacks.update_stack(StackName="half", TemplateBody=whole)
    found = of_stack(session, "half")
    assert (found.role, found.bucket) == ("arn:aws:iam::123456789012:role/hosting", "of-the-stack")
    with pytest.raises(InputError, match=r"--stack=none: .*does not exist"):
        of_stack(session, "none")
